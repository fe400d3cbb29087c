struct Words(Vec<String>);

#[coheld_macros::expose]
impl Words {
    pub fn borrowing(&self) -> impl Iterator<Item = String> {
        self.0.iter().cloned()
    }

    pub fn not_sent(&self) -> Box<dyn Iterator<Item = String>> {
        Box::new(self.0.clone().into_iter())
    }

    pub fn open(&self) -> impl std::fmt::Display + use<> {
        self.0.len()
    }
}

fn main() {}
