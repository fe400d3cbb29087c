struct Maths;

#[coheld_macros::expose]
impl std::fmt::Display for Maths {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("maths")
    }
}

#[coheld_macros::expose]
struct Other;

#[coheld_macros::expose]
impl Maths {
    #[expose(skip)]
    pub fn new() -> Self {
        Maths
    }
}

fn main() {}
