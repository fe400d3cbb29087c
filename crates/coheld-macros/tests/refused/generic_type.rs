struct Stack<T>(Vec<T>);

#[coheld_macros::expose]
impl<T> Stack<T> {
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[coheld_macros::expose]
impl Stack<u8> {
    pub fn sum(&self) -> u8 {
        self.0.iter().sum()
    }
}

fn main() {}
