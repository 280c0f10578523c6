//! Variables of the environment over those of a `.env` file.

use std::collections::HashMap;
use std::env::VarError;

use anyhow::{Context as _, bail};

/// Where settings are read from. It holds passwords: it has no `Debug`.
pub struct Variables {
    environment: bool,
    file: HashMap<String, String>,
}

impl Variables {
    /// The environment, and the `.env` file of the working directory or of one above it.
    ///
    /// # Errors
    /// When there is a `.env` file that cannot be read or understood.
    pub fn load() -> anyhow::Result<Self> {
        let mut file = HashMap::new();
        let entries = match dotenvy::dotenv_iter() {
            Ok(entries) => entries,
            Err(error) if error.not_found() => {
                return Ok(Self {
                    environment: true,
                    file,
                });
            }
            Err(error) => return Err(error).context("cannot read .env"),
        };
        for entry in entries {
            match entry {
                Ok((name, value)) => {
                    file.insert(name, value);
                }
                // Its message quotes the line, which may hold a password.
                Err(dotenvy::Error::LineParse(line, at)) => {
                    let name = line.split_once('=').map_or("?", |(name, _)| name.trim());
                    bail!("cannot read .env: the line that sets {name:?} is wrong at character {at}");
                }
                Err(error) => return Err(error).context("cannot read .env"),
            }
        }
        Ok(Self {
            environment: true,
            file,
        })
    }

    /// These and no others, for tests.
    #[must_use]
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        let file = pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self {
            environment: false,
            file,
        }
    }

    /// The value of `name`. An empty one is the same as none: that is what compose files pass on
    /// for variables that are not set.
    ///
    /// # Errors
    /// When the value is not UTF-8.
    pub fn get(&self, name: &str) -> anyhow::Result<Option<String>> {
        if self.environment {
            match std::env::var(name) {
                Ok(value) if !value.is_empty() => return Ok(Some(value)),
                Ok(_) | Err(VarError::NotPresent) => {}
                Err(VarError::NotUnicode(_)) => bail!("{name} is not UTF-8"),
            }
        }
        Ok(self.file.get(name).filter(|value| !value.is_empty()).cloned())
    }
}
