struct Maths;

#[coheld_macros::expose]
impl Maths {
    pub fn new() -> Maths {
        Maths
    }

    pub fn consumed(self) -> i64 {
        1
    }

    pub fn counted(self: std::sync::Arc<Self>) -> i64 {
        1
    }
}

fn main() {}
