//! Makes Rust out of `open-local-csi/proto/csi.proto`: messages, services, and the `Debug` of
//! messages that hold secrets. Started by `cargo xtask codegen`; needs no protobuf compiler.
//!
//! `open-local-codegen CRATE OUT`: reads `CRATE/proto/csi.proto`, writes three files into `OUT`.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use prost_types::{DescriptorProto, FileDescriptorSet};

/// The package of the proto file; prost names its output after it.
const PACKAGE: &str = "csi.v1";
/// A field of this name is never printed.
const SECRET: &str = "secrets";
const HEADER: &str = "// Made by `cargo xtask codegen` from proto/csi.proto; not to be edited.\n\n";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(package), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: open-local-codegen CRATE OUT".into());
    };
    let set = protox::compile(["csi.proto"], [package.join("proto")])?;
    let secret = with_secrets(&set);
    let work = out.join("work");
    fs::create_dir_all(&work)?;
    messages(&set, &secret, &work)?;
    take(&work, &out.join("messages.rs"))?;
    services(&set, &work)?;
    take(&work, &out.join("services.rs"))?;
    fs::remove_dir(&work)?;
    fs::write(out.join("redacted.rs"), redacted(&secret))?;
    Ok(())
}

/// Moves what prost wrote to where it belongs.
fn take(work: &Path, target: &Path) -> Result<(), Box<dyn Error>> {
    let made = work.join(format!("{PACKAGE}.rs"));
    let text = fs::read_to_string(&made)?;
    fs::remove_file(made)?;
    fs::write(target, format!("{HEADER}{text}"))?;
    Ok(())
}

/// Every message of the package with a field for secrets.
fn with_secrets(set: &FileDescriptorSet) -> Vec<DescriptorProto> {
    let files = set.file.iter().filter(|file| file.package() == PACKAGE);
    files
        .flat_map(|file| &file.message_type)
        .filter(|message| message.field.iter().any(|field| field.name() == SECRET))
        .cloned()
        .collect()
}

fn messages(
    set: &FileDescriptorSet,
    secret: &[DescriptorProto],
    out: &Path,
) -> Result<(), Box<dyn Error>> {
    let mut config = prost_build::Config::new();
    config.out_dir(out).btree_map(["."]);
    config.skip_debug(secret.iter().map(|message| format!(".{PACKAGE}.{}", message.name())));
    let mut without = set.clone();
    for file in &mut without.file {
        file.service.clear();
    }
    config.compile_fds(without)?;
    Ok(())
}

fn services(set: &FileDescriptorSet, out: &Path) -> Result<(), Box<dyn Error>> {
    tonic_prost_build::configure()
        .out_dir(out)
        .extern_path(format!(".{PACKAGE}"), "crate::proto")
        .compile_fds(set.clone())?;
    Ok(())
}

/// `Debug` that shows of secrets how many there are.
fn redacted(secret: &[DescriptorProto]) -> String {
    let mut text = String::from(HEADER);
    for message in secret {
        let name = message.name();
        let _ = writeln!(text, "impl ::core::fmt::Debug for super::{name} {{");
        let _ = writeln!(
            text,
            "    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{"
        );
        let _ = writeln!(text, "        f.debug_struct(\"{name}\")");
        for field in &message.field {
            let field = field.name();
            let value = if field == SECRET {
                format!("super::Hidden(self.{field}.len())")
            } else {
                format!("self.{field}")
            };
            let _ = writeln!(text, "            .field(\"{field}\", &{value})");
        }
        text.push_str("            .finish()\n    }\n}\n\n");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
