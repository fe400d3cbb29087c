struct Maths;

#[coheld_macros::expose(name = Calculator)]
impl Maths {
    pub fn one(&self) -> i64 {
        1
    }
}

struct Other;

#[coheld_macros::expose]
impl Other {
    #[expose(hide)]
    pub fn one(&self) -> i64 {
        1
    }
}

fn main() {}
