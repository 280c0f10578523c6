//! What to do next. A library does not know what its caller's commands and flags are called: it leaves hints.

/// What a caller may have a command or a flag for, and then its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Observe the phases again.
    Observe,
    /// Make `expected.json`, which is missing or stale.
    MakeExpected,
    /// Name the folder of the phases.
    Folder,
    /// Wait longer for the server; stands after a question.
    WaitLonger,
    /// Wait longer for locks and for other migrations.
    LockDeadline,
    /// Keep the application waiting for longer.
    StallBudget,
    /// Take a database over: what runs once counts as done.
    TakeOver,
    /// Name the last file that counts as done; stands after a text that says so.
    Through,
    /// Run what runs once although nobody knows whether it has run.
    RunOnce,
    /// Change what differs, too.
    Repair,
    /// Bring a version again that was taken back.
    Again,
    /// Take back all after a run; its number follows.
    RollBackTo,
    /// Leave what cannot be taken back.
    Partly,
    /// List the runs.
    ListRuns,
    /// Drop what holds values.
    AllowDataLoss,
    /// Write the rows of tables anew.
    AllowRewrite,
}

impl Hint {
    /// Words without a command or a flag, for callers that have none; empty where nothing is missing then.
    pub fn words(self) -> &'static str {
        match self {
            Self::Observe => "observe them",
            Self::MakeExpected => "observe the phases to make it",
            Self::LockDeadline => "more time",
            Self::StallBudget => "more of it",
            Self::TakeOver => "take the database over",
            Self::RunOnce => "allow them to run",
            Self::Again => "ask for it again",
            Self::RollBackTo => "roll back to run",
            Self::Partly => "the wish to do it partly",
            Self::ListRuns => "list the runs",
            Self::Repair => "repair the database",
            Self::AllowDataLoss => "allow the loss of values",
            Self::AllowRewrite => "allow tables to be written anew",
            Self::Folder | Self::WaitLonger | Self::Through => "",
        }
    }
}

/// What to do next: some lines of text, with hints in between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Next(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Hint(Hint),
}

impl Next {
    /// The same with a text behind it.
    #[must_use]
    pub fn then(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Text(text.into()));
        self
    }

    /// The same with a hint behind it.
    #[must_use]
    pub fn hint(mut self, hint: Hint) -> Self {
        self.0.push(Part::Hint(hint));
        self
    }

    /// The same with all of another one behind it.
    #[must_use]
    pub fn followed_by(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of it, with the words that the caller has for hints.
    pub fn text(&self, words: fn(Hint) -> &'static str) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Hint(hint) => words(*hint).to_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

impl From<String> for Next {
    fn from(text: String) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        Self(vec![Part::Text(text)])
    }
}

impl From<&str> for Next {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Hint> for Next {
    fn from(hint: Hint) -> Self {
        Self::default().hint(hint)
    }
}
