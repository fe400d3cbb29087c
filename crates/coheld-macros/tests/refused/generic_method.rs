struct Maths;

#[coheld_macros::expose]
impl Maths {
    pub fn twice<T: Clone>(&self, value: T) -> Vec<T> {
        vec![value.clone(), value]
    }

    pub fn longest<'a>(&self, words: Vec<&'a str>) -> usize {
        words.len()
    }
}

fn main() {}
