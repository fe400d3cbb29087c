struct Words(Vec<String>);

#[coheld_macros::expose]
impl Words {
    pub fn first(&self) -> &str {
        &self.0[0]
    }

    pub fn all(&self) -> Result<Vec<&String>, String> {
        Ok(self.0.iter().collect())
    }

    pub fn joined(&self) -> std::borrow::Cow<'static, str> {
        self.0.join(" ").into()
    }

    pub fn fill(&self, into: &mut Vec<String>) {
        into.extend(self.0.iter().cloned());
    }

    pub fn longest(&self, of: Vec<&str>) -> usize {
        of.len()
    }

    pub fn copied(&self) -> Self {
        Words(self.0.clone())
    }
}

fn main() {}
