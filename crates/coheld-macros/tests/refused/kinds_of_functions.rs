struct Maths;

#[coheld_macros::expose]
impl Maths {
    pub async fn later(&self) -> i64 {
        1
    }

    pub extern "C" fn foreign(&self) -> i64 {
        1
    }
}

fn main() {}
