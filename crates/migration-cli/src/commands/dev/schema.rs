//! The database follows the phase files.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use connection::{Error, Settings};
use migration::journal::Keep;
use migration::{Expected, Goal, Phases};
use scratch::ServerOptions;

use super::watch::Watch;
use super::{Args, shown};
use crate::author::author;
use crate::commands::migrate::{Job, Migrated};
use crate::commands::snapshot::{self, How, Spare};
use crate::report::{self, Report};
use crate::{signals, ui};

/// The server runs already.
const WAIT: Duration = Duration::from_secs(5);

/// The phases, and the database that is to be as they say.
pub struct Schema<'a> {
    args: &'a Args,
    settings: Settings,
    spare: Spare,
    watch: Watch,
}

impl<'a> Schema<'a> {
    /// Looks at the files from now on.
    pub fn new(args: &'a Args, settings: Settings) -> Self {
        let is_phase = |path: &std::path::Path| path.extension().is_some_and(|ending| ending == "sql");
        Self {
            settings,
            spare: Spare::new(ServerOptions {
                kind: args.postgres,
                image: args.image.clone().filter(|image| !image.is_empty()),
                ..ServerOptions::default()
            }),
            watch: Watch::new(vec![args.sql.dir()], is_phase),
            args,
        }
    }

    /// Brings the database to what the files say; only if expected.json does not belong to them are they observed.
    ///
    /// # Errors
    /// The files cannot be read, observed, or run.
    pub fn begin(&mut self) -> anyhow::Result<()> {
        let phases = self.args.sql.phases()?;
        let expected = match Expected::read(&phases) {
            Ok(expected) => expected,
            Err(error) => {
                ui::say(&format!("{}: {}; observing the phases", error.what, error.cause));
                self.observe(&phases)?
            }
        };
        self.migrate(phases, expected)?.remark();
        self.spare.prepare();
        Ok(())
    }

    /// What has changed since the last time is carried out and shown; what is wrong with it is shown, and the database
    /// stays as far as it came. Gives the time after which to call it again.
    pub fn follow(&mut self) -> Duration {
        let changed = self.watch.changed();
        if !changed.is_empty() {
            self.carry_out(&changed);
        }
        self.watch.pause()
    }

    fn carry_out(&mut self, changed: &[PathBuf]) {
        let start = Instant::now();
        ui::say(&format!("\n{} changed", shown(changed)));
        match self.bring() {
            Ok(migrated) => {
                migrated.remark();
                migrated.say_changes();
                ui::say(&format!(
                    "✓ the database is as the files say, after {}",
                    ui::time(start.elapsed())
                ));
            }
            // Who ends it knows.
            Err(_) if signals::received().is_some() => {}
            Err(error) => {
                report::show_error(&error);
                ui::say("waiting for the next change");
            }
        }
        self.spare.prepare();
    }

    fn bring(&mut self) -> anyhow::Result<Migrated> {
        let phases = self.args.sql.phases()?;
        let expected = self.observe(&phases)?;
        self.migrate(phases, expected)
    }

    /// Writes expected.json anew, for what is new in the phases.
    fn observe(&mut self, phases: &Phases) -> anyhow::Result<Expected> {
        snapshot::make(phases, How::default(), &mut self.spare)?.remark();
        Ok(Expected::read(phases)?)
    }

    fn migrate(&self, phases: Phases, expected: Expected) -> anyhow::Result<Migrated> {
        let job = Job {
            locks: &self.args.locks,
            wait: WAIT,
            verbose: self.args.verbose,
        };
        // It is nobody's database but the files': also what they say otherwise now, or no more, is carried out. What
        // rows lose by it is kept in the quarantine.
        let goal = Goal {
            phases,
            expected: Some(expected),
            force: false,
            run_once: false,
            allow_older: true,
            again: true,
            repair: true,
            prune: true,
            allow_data_loss: true,
            allow_rewrite: true,
            author: author(),
            keep: Keep::default(),
        };
        job.run(self.settings.clone(), || Ok::<_, Error>(goal.clone()))
    }
}
