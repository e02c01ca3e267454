//! The numbers of labels, for formats that have numbers and no names.

use std::collections::HashMap;

/// Labels with their numbers, from 0.
#[derive(Debug, Default)]
pub(super) struct Classes {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
    /// Whether a label that is not here gets the next number. A format that has written its classes knows no others.
    is_open: bool,
}

impl Classes {
    pub(super) fn of(names: Vec<String>, is_open: bool) -> Self {
        let numbers = names.iter().enumerate().map(|(number, name)| (name.clone(), number)).collect();
        Self { names, numbers, is_open }
    }

    /// The number of a label; `None`: it is not here, and it is too late for it.
    pub(super) fn number(&mut self, label: &str) -> Option<usize> {
        if let Some(number) = self.numbers.get(label) {
            return Some(*number);
        }
        if !self.is_open {
            return None;
        }
        self.names.push(label.to_owned());
        self.numbers.insert(label.to_owned(), self.names.len() - 1);
        Some(self.names.len() - 1)
    }

    /// The labels in the order of their numbers.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn into_names(self) -> Vec<String> {
        self.names
    }
}
