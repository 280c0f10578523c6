//! `completions`: what a shell completes.

use std::io::Write;

use clap_complete::Shell;

/// Print what lets a shell complete the arguments
///
/// It defines xtask as a short form of cargo xtask, and its arguments. For bash, in ~/.bashrc:
/// `eval "$(cargo xtask completions bash)"`, from a folder of the workspace; or once into a file that the shell reads.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The shell: bash, zsh or fish.
    #[arg(value_parser = shell)]
    shell: Shell,
}

/// Cargo completes its own arguments and lets nobody in: the short form is a command that can be completed.
const NAME: &str = "xtask";

fn shell(text: &str) -> Result<Shell, String> {
    match text {
        "bash" => Ok(Shell::Bash),
        "zsh" => Ok(Shell::Zsh),
        "fish" => Ok(Shell::Fish),
        _ => Err("there are bash, zsh and fish".to_owned()),
    }
}

/// Writes the script for these arguments.
pub fn run(args: &Args, mut program: clap::Command) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    // The name with a space in it is for messages; a shell wants one word.
    program = program.name(NAME).bin_name(NAME);
    clap_complete::generate(args.shell, &mut program, NAME, &mut script);
    let script = String::from_utf8_lossy(&script);
    // What zsh reads from a folder begins with its own line, which must stay the first.
    let (head, rest) = match script.split_once('\n') {
        Some((head, rest)) if head.starts_with("#compdef") => (format!("{head}\n"), rest),
        _ => (String::new(), script.as_ref()),
    };
    let short = match args.shell {
        Shell::Fish => format!("function {NAME}; cargo xtask $argv; end\n"),
        _ => format!("{NAME}() {{ cargo xtask \"$@\"; }}\n"),
    };
    // Whoever reads it may have enough.
    let _ = write!(std::io::stdout(), "{head}{short}{rest}");
    Ok(0)
}
