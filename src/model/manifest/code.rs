//! The kinds of mistakes in a manifest: stable codes, and what `assets explain CODE` says of each.

use crate::base::diagnostic::Code;

/// One kind of mistake, for people.
#[derive(Clone, Copy, Debug)]
pub struct CodeInfo {
    pub code: &'static str,
    pub title: &'static str,
    pub explanation: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal $title:literal $explanation:literal)*) => {
        $(#[doc = $title] pub const $name: Code = Code($code);)*

        /// Every code, in order. A code is never reused.
        pub const CODES: &[CodeInfo] =
            &[$(CodeInfo { code: $code, title: $title, explanation: $explanation }),*];
    };
}

codes! {
    SYNTAX = "A0001" "the file is not TOML"
"The text breaks the syntax of TOML, so nothing in the file could be read.

    command = [\"cp\", \"a.csv\"        # the bracket is never closed

Mend the place under the caret. The errors after the first may be its echo."

    DUPLICATE_KEY = "A0002" "a key or table is written twice in one file"
"TOML allows each key and each table once.

    [asset.orders]
    command = \"make-orders\"
    [asset.orders]                  # again
    deps = [\"raw\"]

Put both together, or remove one."

    UNREADABLE = "A0003" "a manifest cannot be read"
"The file is not there, may not be read, is not UTF-8, or is far too large.
A project has its `assets.toml` at its root; `assets init` writes one."

    INCLUDE = "A0004" "an include leads to no manifest"
"`include` in [project] names further manifests, as paths or patterns seen from the
main one. Each must lead to at least one file below the project.

    include = [\"pipelines/*/assets.toml\"]"

    UNKNOWN_KEY = "A0005" "a key is not known"
"Unknown keys are errors, because a mistyped one would otherwise be ignored for ever.

    [asset.orders]
    comand = \"make-orders\"          # did you mean `command`?

`assets schema` prints every key there is."

    WRONG_TYPE = "A0006" "a value is of the wrong type"
"The key is known, but holds another kind of value.

    retries = \"2\"                   # a string; write retries = 2"

    MISSING_KEY = "A0007" "a key is missing"
"A table lacks a key that it cannot do without, such as `name` in [project],
`type` in [io.*], `limit` in [pool.*] or `select` in [job.*]."

    BAD_VALUE = "A0008" "a value makes no sense"
"The value is of the right type, but empty, out of range, or not one of those allowed.

    timeout = \"10 minutes\"          # write \"10m\"
    limit = 0                       # a pool of nothing"

    NOT_SUPPORTED = "A0009" "the key or value is not supported yet"
"The key has its place and its form is checked, but the behaviour comes with a later
version. Ignoring it in silence would be worse, so it is an error. Take it out for now."

    ONLY_IN_MAIN = "A0010" "this belongs in the main manifest"
"An included file declares assets, sources, ops, IO managers, pools and jobs. What holds
for the whole project ([project], [vars], [target.*]) stands in the main `assets.toml`.
`assets.local.toml` may override everything but `name`, `requires` and `include`."

    REQUIRES = "A0011" "the project asks for another version of the tool"
"`requires` in [project] is a range of versions as Cargo writes them: \">=0.1, <2\".
Install a version in the range, or change the range if you know better."

    UNKNOWN_DEP = "A0012" "a dependency is not declared"
"`deps` names assets and sources of the project by key.

    [asset.report]
    deps = [\"order\"]                # did you mean `orders`?

Data that is made elsewhere is declared as a source: [source.NAME]. Files that only one
asset reads can be listed in its `sources` instead."

    UNKNOWN_NAME = "A0013" "a name is not declared"
"An `io`, `pool`, `op`, `default_io` or `-t TARGET` names something that is declared
nowhere: [io.NAME], [pool.NAME], [op.NAME], [target.NAME]."

    UNKNOWN_VAR = "A0014" "a variable is not declared"
"`--var NAME=VALUE` and `{{ vars.NAME }}` speak of variables of [vars]. Declare it there
with the value it usually has."

    BAD_NAME = "A0015" "a name is spelt with what names may not hold"
"Keys of assets and sources are parts of letters, digits, `_` and `-`, joined by `/`.
Other names are one such part. A name of the environment has letters, digits and `_`."

    DUPLICATE_NAME = "A0016" "a name is declared twice"
"Keys share one namespace over all files, assets and sources together: a dependency
`orders` can mean one thing only. Rename one of the two."

    FOLDED_NAME = "A0017" "two names differ only in case"
"On a file system that ignores case (macOS, Windows) the two would be one file, and each
would overwrite the other. Rename one of the two."

    NO_COMPUTATION = "A0018" "an asset has nothing that makes it, or more than one thing"
"An asset is made by exactly one of `command` and `op`. Data that is made elsewhere is a
source: [source.NAME] with `files`, `command` or `url`."

    OP_DECIDES = "A0019" "a key of an asset belongs to its op"
"An asset made by an op is computed as the op says. `command`, `deps`, `retries` and the
like are written in [op.NAME], once for everything that it makes."

    OP_WITHOUT_ASSETS = "A0020" "an op makes nothing"
"No asset names the op. Declare what it makes:

    [asset.train]
    op = \"split\""

    SOURCE_FORM = "A0021" "a source is observed in no way, or in more than one"
"A source has exactly one of `files`, `command` and `url`. `max_age` goes with `url`."

    BAD_PATH = "A0022" "a path leaves the project, or lands where it must not"
"Paths are relative to the manifest that they stand in (an asset's `path`: to its IO
manager's root) and stay below the project. `.git` and `.assets` are not for data."

    BAD_PATTERN = "A0023" "a pattern of files is malformed"
"Patterns are written as in .gitignore: `*`, `**`, `?`, `[a-z]`; a leading `!` takes
files away again, so the first pattern cannot begin with one."

    OVERLAP = "A0024" "outputs overlap"
"Two assets would be kept in the same place, or one inside the other; each would destroy
the other. Give one of them another `path` or IO manager."

    OVERWRITES = "A0025" "an output would overwrite an input"
"The asset would be kept where a manifest, a code file or a source file is. Outputs go to
places of their own. If the file is made by the asset, readers name the asset in `deps`."

    CYCLE = "A0026" "assets depend on each other in a circle"
"Nothing in the circle could be made first. Take one of the dependencies out, or split the
asset that closes the circle."

    ENV_COLLISION = "A0027" "two keys meet in one variable of the environment"
"A command is given the places of its inputs and outputs as ASSETS_INPUT_<KEY> and
ASSETS_OUTPUT_<KEY>, with the key in capitals and every other character as `_`; `a-b` and
`a/b` both become A_B. Rename one of the two."

    BAD_TEMPLATE = "A0028" "a template is malformed"
"Strings are templates: `{{ vars.x }}`, `{{ inputs.key }}`, `{{ output }}`. This one cannot be read."

    UNKNOWN_IN_TEMPLATE = "A0029" "a template names something that is not there"
"Templates are strict. There are `vars.NAME`, `env.NAME` (of declared variables),
`project.root`, `run.id`, and in commands `inputs.KEY` (of `deps`), `output`,
`outputs.KEY`. A key with other characters is written inputs[\"raw/orders\"].
An op that makes several assets has `outputs.KEY` and no `output`."

    UNSET_ENV = "A0030" "a variable of the environment is not set"
"A path or an option of an IO manager asks for a variable that is not set. Set it, or give
a default: `{{ env.DATA | default(\"data\") }}`."

    DEFAULT_IO = "A0031" "it is not said which IO manager keeps an asset"
"A project with several IO managers says which is meant: `default_io` in [project], `io`
in [defaults], or `io` of the asset."

    RESERVED = "A0032" "the name is reserved"
"Variables that begin with ASSETS_ are set by the tool and cannot be declared."

    REPEATED = "A0033" "something is listed twice"
"A list names the same thing twice. Remove one."

    BAD_SELECTION = "A0034" "a job selects what is not there, or in words that cannot be read"
"The `select` of a job is written as on the command line; `assets help selection` has the
language. It names assets and sources of the project.

    [job.nightly]
    select = \"group:marts or +report\""

    BAD_SQL = "A0035" "a query cannot be used"
"The `sql` of an asset is one query (SELECT or WITH) in the words of the database that keeps
the asset; or the path of a file with one, which ends in .sql. What it reads is found in it:
tables of the same database, and csv files. A name is that of an asset or source.

    [asset.daily]
    sql = \"select day, sum(amount) as amount from orders group by day\"
    io = \"warehouse\""

    TOO_MANY = "A0099" "there are more mistakes than can be shown"
"Only the first hundred mistakes are shown. Mend them, then look again."
}

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn codes_are_in_order_each_once_and_explained() {
        assert!(CODES.windows(2).all(|it| it[0].code < it[1].code));
        for info in CODES {
            assert!(info.code.len() == 5 && info.code.starts_with('A'), "{}", info.code);
            assert!(!info.title.is_empty() && info.explanation.len() > 40, "{}", info.code);
            assert!(info.explanation.lines().all(|it| it.len() <= 110), "{}", info.code);
        }
    }
}
