//! Texts that any database can hold: a record must not fail because of a character in it, nor hide what it records.

use std::borrow::Cow;

use serde::Serialize;

/// What the database's encoding lets the journal write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texts {
    /// Only ASCII is sure to be in it.
    ascii: bool,
}

impl Texts {
    /// For an encoding as `server_encoding` names it. SQL_ASCII takes every byte as it comes.
    pub fn of(encoding: &str) -> Self {
        Self {
            ascii: !matches!(encoding, "UTF8" | "SQL_ASCII"),
        }
    }

    /// The text, with `?` for what the encoding may lack.
    pub fn storable(self, text: &str) -> Cow<'_, str> {
        if self.ascii && !text.is_ascii() {
            text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
        } else {
            Cow::Borrowed(text)
        }
    }
}

/// Who runs, for the record.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Author {
    /// The version of this tool.
    pub tool_version: String,
    /// The commit of the phase files.
    pub git_commit: Option<String>,
    /// The user of the operating system.
    pub os_user: Option<String>,
    /// The machine's name.
    pub host: Option<String>,
}

impl Author {
    /// `user@host`.
    pub fn who(&self) -> String {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        format!("{}@{}", part(&self.os_user), part(&self.host))
    }

    /// The same as the database can hold it.
    pub fn storable(&self, texts: Texts) -> Self {
        let storable = |text: &Option<String>| text.as_deref().map(|text| texts.storable(text).into_owned());
        Self {
            tool_version: self.tool_version.clone(),
            git_commit: storable(&self.git_commit),
            os_user: storable(&self.os_user),
            host: storable(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_encoding_may_lack_is_a_question_mark() {
        assert_eq!(Texts::of("UTF8").storable("groß – 5 €"), "groß – 5 €");
        assert_eq!(Texts::of("SQL_ASCII").storable("groß"), "groß");
        assert_eq!(Texts::of("LATIN1").storable("groß – 5 €"), "gro? ? 5 ?");
        assert_eq!(Texts::of("EUC_JP").storable("plain"), "plain");
    }
}
