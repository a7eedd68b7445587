//! The configuration file: YAML with the options of the command by their names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::settings::{Layer, MOST, OPTIONS, Source};
use crate::plan::mistakes::{Mistake, Mistakes};
use crate::plan::nearest::nearest;
use crate::plan::source::{self, Content, Key, Value};

/// Most bytes of a configuration file.
const MOST_BYTES: u64 = 64 << 10;

/// Reads a configuration file.
///
/// # Errors
/// `InvalidArgument` naming every unknown or repeated option with its line and what may have been
/// meant; what reading the file gives.
pub fn read(path: &Path) -> Result<Layer> {
    let subject = || Subject::path(path);
    let failed = |e| {
        Error::from_io(Op::Parse, subject(), "the configuration file can't be read", e)
            .with_remedy("name a file that exists and may be read")
    };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    let length = file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(length).unwrap_or(u64::MAX) > MOST_BYTES {
        let message = "the configuration file has more than 64 KiB";
        return Err(Error::new(ErrorKind::InvalidArgument, Op::Parse, subject(), message)
            .with_remedy("leave out what is no option"));
    }
    layer(&text, path).map_err(|mistakes| {
        let error = mistakes.into_error(&subject());
        Error::new(error.kind(), Op::Parse, subject(), error.message())
            .with_remedy("correct the file; `open-local csi --help` lists the options")
    })
}

/// The options a text says.
///
/// # Errors
/// All that is wrong, as far as it can be told.
pub fn layer(text: &str, path: &Path) -> std::result::Result<Layer, Mistakes> {
    let mut reader = Reader { path, layer: Layer::default(), mistakes: Mistakes::default() };
    let empty = text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    });
    if !empty {
        match source::parse(text) {
            Ok(value) => reader.options(&value),
            Err(mistake) => reader.mistakes.add(mistake),
        }
    }
    if reader.mistakes.is_empty() { Ok(reader.layer) } else { Err(reader.mistakes) }
}

struct Reader<'p> {
    path: &'p Path,
    layer: Layer,
    mistakes: Mistakes,
}

impl Reader<'_> {
    fn complain(&mut self, value: &Value, field: &str, message: &str, remedy: &str) {
        let (path, at) = (field.to_owned(), value.at);
        let (message, remedy) = (message.to_owned(), remedy.to_owned());
        self.mistakes.add(Mistake { at, path, message, remedy });
    }

    fn options(&mut self, value: &Value) {
        let Content::Map(map) = &value.content else {
            self.complain(
                value,
                "",
                "options are expected here",
                "write them like node-id: node-1",
            );
            return;
        };
        for (key, value) in map {
            let Some((name, repeated)) = self.known(key) else { continue };
            if self.layer.one(name).is_some() {
                let message = "the option is given twice";
                self.complain(value, name, message, "leave one of them out");
            } else if !value.is_null() {
                self.option(name, repeated, value);
            }
        }
    }

    fn known(&mut self, key: &Key) -> Option<(&'static str, bool)> {
        let text = key.text.replace('_', "-");
        if let Some(known) = OPTIONS.iter().find(|(name, _)| *name == text) {
            return Some(*known);
        }
        let remedy = match nearest(&text, OPTIONS.iter().map(|(name, _)| *name)) {
            Some(name) => format!("did you mean {name}?"),
            None => {
                let names: Vec<&str> = OPTIONS.iter().map(|(name, _)| *name).collect();
                format!("there is {}", names.join(", "))
            }
        };
        let message = format!("unknown option {}", Subject::value(&*key.text));
        self.mistakes.add(Mistake { at: key.at, path: String::new(), message, remedy });
        None
    }

    fn option(&mut self, name: &'static str, repeated: bool, value: &Value) {
        let values = match (&value.content, repeated) {
            (Content::List(list), true) => list.as_slice(),
            (Content::Text { .. }, _) => std::slice::from_ref(value),
            (_, true) => {
                self.complain(value, name, "a list is expected here", "begin each entry with -");
                return;
            }
            (_, false) => {
                self.complain(
                    value,
                    name,
                    "one value is expected here",
                    "write it after the colon",
                );
                return;
            }
        };
        if values.len() > MOST {
            self.complain(value, name, "there are more than 64", "leave some out");
            return;
        }
        for value in values {
            let Content::Text { text, .. } = &value.content else {
                self.complain(value, name, "text is expected here", "write it like the option");
                continue;
            };
            let source = Source::File(self.path.to_path_buf(), value.at.line);
            self.layer.add(name, &**text, source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<Layer, String> {
        layer(text, Path::new("/c.yaml"))
            .map_err(|mistakes| mistakes.into_error(&Subject::path("/c.yaml")).message().to_owned())
    }

    #[test]
    fn options_stand_by_their_names_and_know_their_lines() {
        let layer =
            read("# ours\nnode-id: n\npool:\n  - p=sim\n  - q=sim\nmax_volumes: 7\n").unwrap();
        assert_eq!(layer.one("node-id").unwrap().text, "n");
        assert_eq!(layer.all("pool").len(), 2);
        let text = layer.one("max-volumes").unwrap();
        assert_eq!(text.source.to_string(), "/c.yaml, line 6");
        assert_eq!(read("\n# nothing\n").unwrap(), Layer::default());
    }

    #[test]
    fn what_is_not_known_is_told_with_its_line_and_a_remedy() {
        let said = read("node-id: n\nmetric-address: 1\ncolour: red\nmode: [a]\n").unwrap_err();
        for part in [
            "3 mistakes",
            "line 2, column 1: unknown option metric-address (did you mean metrics-address?)",
            "line 3, column 1: unknown option colour (there is pool, ",
            "line 4, column 7: mode: one value is expected here",
        ] {
            assert!(said.contains(part), "{part:?} is missing in {said}");
        }
        assert!(read("- a").unwrap_err().contains("options are expected"));
        assert!(read("mode: a\nmode: b").unwrap_err().contains("given twice"));
        assert!(read("a: [").unwrap_err().contains("neither YAML nor JSON"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_layer_or_mistakes(text in "[ -~\n]{0,200}") {
            let _ = read(&text);
        }
    }
}
