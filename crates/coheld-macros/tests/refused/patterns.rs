struct Maths;

#[coheld_macros::expose]
impl Maths {
    pub fn distance(&self, (x, y): (i64, i64)) -> i64 {
        x.abs() + y.abs()
    }

    pub fn ignored(&self, _: i64) -> i64 {
        0
    }

    pub fn shown(&self, value: impl std::fmt::Display) -> String {
        value.to_string()
    }

    pub fn open(&self, value: &dyn std::fmt::Display) -> String {
        value.to_string()
    }

    pub fn failing(&self) -> std::fmt::Result {
        Ok(())
    }
}

fn main() {}
