//! The shells that can ask for completions, and what bash needs besides.

use std::{ffi::OsString, io, path::Path};

use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};

pub const SHELLS: Shells<'static> = Shells(&[&JoiningBash, &Elvish, &Fish, &Powershell, &Zsh]);

/// Bash takes words apart at `:`, `=` and `@`, which belong to selections.
struct JoiningBash;

/// What the common script takes for the words, and what is put in its place.
const APART: &str = r#"    local words=("${COMP_WORDS[@]}")
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        words[COMP_CWORD]="$2"
    fi
"#;
const JOINED: &str = r#"    local words=() index
    for ((index = 0; index <= COMP_CWORD; index++)); do
        local word="${COMP_WORDS[index]}" last=$((${#words[@]} - 1))
        if ((last > 0)) && [[ "$word" == [:=@]* || "${words[last]}" == *[:=@] ]]; then
            words[last]+="$word"
        else
            words+=("$word")
        fi
    done
    local _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1))
    local typed_before="${words[_CLAP_COMPLETE_INDEX]%"$2"}"
"#;
const END: &str = "    if [[ $? != 0 ]]; then\n        unset COMPREPLY\n";
const CUT: &str = "    elif [[ -n \"$typed_before\" ]]; then\n        COMPREPLY=(\"${COMPREPLY[@]#\"$typed_before\"}\")\n    fi\n    if false; then :\n";

impl EnvCompleter for JoiningBash {
    fn name(&self) -> &'static str {
        Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        Bash.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn io::Write,
    ) -> Result<(), io::Error> {
        let mut script = Vec::new();
        Bash.write_registration(var, name, bin, completer, &mut script)?;
        let script =
            String::from_utf8_lossy(&script).replacen(APART, JOINED, 1).replacen(END, &format!("{END}{CUT}"), 1);
        buf.write_all(script.as_bytes())
    }

    fn write_complete(
        &self,
        cmd: &mut clap::Command,
        args: Vec<OsString>,
        current_dir: Option<&Path>,
        buf: &mut dyn io::Write,
    ) -> Result<(), io::Error> {
        Bash.write_complete(cmd, args, current_dir, buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_script_of_bash_still_has_the_places_that_are_replaced() {
        let mut script = Vec::new();
        JoiningBash.write_registration("COMPLETE", "assets", "assets", "assets", &mut script).unwrap();
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains(JOINED) && script.contains(CUT), "{script}");
    }
}
