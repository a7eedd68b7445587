//! `open-local pool …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use open_local_core::{
    Bytes, Op, PoolExt, PoolId, PoolSpec, Ratio, Removed, Result, Subject, Upkeep,
};
use serde_json::{Value, json};

use super::{confirm, upkeep, values};
use crate::answer::Answer;
use crate::context::{Context, absolute};
use crate::view::{OutcomeWord, pool as view};

/// What to do with pools.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make sure a pool exists
    Create(Create),
    /// List all pools
    List,
    /// Show one pool
    Show {
        /// Its name; may be left out where there is only one
        name: Option<PoolId>,
    },
    /// Do what was left for later, such as erasing the devices of removed volumes
    Maintain {
        /// Its name; may be left out where there is only one
        name: Option<PoolId>,
    },
    /// Remove an empty pool
    Remove {
        /// Its name
        name: PoolId,
    },
}

/// Arguments of `pool create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Its name
    pub name: PoolId,
    /// Where it lives, as the backend reads it: a directory for file, a device or a folder of links
    /// to devices for raw, a folder whose sub-folders are mount points for mountpoint
    #[arg(long, value_name = "PATH")]
    pub at: Option<PathBuf>,
    /// The most bytes it may use [default: all its location has]
    #[arg(long, value_name = "SIZE")]
    pub capacity: Option<Bytes>,
    /// Bytes kept free of promises
    #[arg(long, value_name = "SIZE", default_value = "0B")]
    pub reserve: Bytes,
    /// How much more than its room it may promise to thin volumes, such as 1.5 or 150%
    #[arg(long, value_name = "RATIO", default_value = "1")]
    pub overcommit: Ratio,
    /// A setting only this backend knows; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = values::pair)]
    pub settings: Vec<(String, String)>,
    /// Do not wait until new places, such as disks, are erased
    #[arg(long)]
    pub no_wait: bool,
}

impl Create {
    fn spec(&self) -> Result<PoolSpec> {
        let mut spec = PoolSpec::new(self.name.clone())
            .with_reserve(self.reserve)
            .with_overcommit(self.overcommit);
        if let Some(path) = &self.at {
            spec = spec.at(absolute(path)?);
        }
        if let Some(capacity) = self.capacity {
            spec = spec.with_capacity(capacity);
        }
        for (key, value) in &self.settings {
            spec = spec.with_parameter(key, value);
        }
        spec.validate()?;
        Ok(spec)
    }
}

/// Runs a command.
///
/// # Errors
/// Those of the backend.
pub fn run(context: &Context, command: Command) -> Result<Answer> {
    match command {
        Command::Create(arguments) => create(context, &arguments),
        Command::List => {
            let pools = context.backend().list_pools()?;
            let list: Vec<Value> = pools.iter().map(view::json).collect();
            Ok(Answer::new(json!({ "pools": list }), view::table(&pools)))
        }
        Command::Show { name } => show(context, name),
        Command::Maintain { name } => maintain(context, name),
        Command::Remove { name } => remove(context, &name),
    }
}

fn exists(context: &Context, id: &PoolId) -> Result<bool> {
    let pools = context.backend().list_pools()?;
    Ok(pools.iter().any(|pool| pool.id() == id))
}

fn create(context: &Context, arguments: &Create) -> Result<Answer> {
    let spec = arguments.spec()?;
    let subject = Subject::from(&spec.id);
    let place = spec
        .location
        .as_ref()
        .map_or_else(|| "the backend's own place".to_owned(), |path| path.display().to_string());
    let steps = if context.globals.dry_run && exists(context, &spec.id)? {
        vec!["compare it with the pool that is there".to_owned()]
    } else {
        vec![format!("make it in {place}"), "record it".to_owned()]
    };
    if let Some(answer) = context.planned_steps(subject, &steps) {
        return Ok(answer);
    }
    let done = context.backend().ensure_pool(&spec)?;
    let (word, pool) = (done.word(), done.get());
    let (id, backend) = (pool.id(), &pool.backend);
    let answer = Answer::new(
        json!({ "outcome": word, "pool": view::json(pool) }),
        format!("pool {id}: {word} (backend {backend})"),
    );
    if !context.backend().capabilities().exclusive {
        return Ok(answer);
    }
    let open = context.backend().open_pool(id)?;
    Ok(upkeep::after(context, open.as_ref(), !arguments.no_wait, answer))
}

fn show(context: &Context, name: Option<PoolId>) -> Result<Answer> {
    let id = name.map_or_else(|| context.pool_id(), Ok)?;
    let pool = context.backend().open_pool(&id)?;
    let (info, can) = (pool.info()?, pool.capabilities());
    let thin = pool.thin().map(|thin| thin.thin_usage()).transpose()?;
    Ok(Answer::new(view::full_json(&info, &can, thin.as_ref()), view::facts(&info, &can)))
}

fn maintain(context: &Context, name: Option<PoolId>) -> Result<Answer> {
    let id = name.map_or_else(|| context.pool_id(), Ok)?;
    let steps = ["do what was left for later, until nothing is".to_owned()];
    if let Some(answer) = context.planned_steps(Subject::from(&id), &steps) {
        return Ok(answer);
    }
    let Upkeep { done, left, .. } = context.backend().open_pool(&id)?.maintain_all()?;
    Ok(Answer::new(
        json!({ "done": done.get(), "left": left.get() }),
        format!("pool {id}: {done} done, {left} left"),
    ))
}

fn remove(context: &Context, id: &PoolId) -> Result<Answer> {
    let subject = Subject::from(id);
    let steps = if context.globals.dry_run && !exists(context, id)? {
        vec![]
    } else {
        vec!["see that it is empty".to_owned(), "remove it".to_owned()]
    };
    if let Some(answer) = context.planned_steps(subject.clone(), &steps) {
        return Ok(answer);
    }
    let what = format!("this removes pool {id}");
    confirm::destruction(&context.globals, Op::RemovePool, subject, &what)?;
    let done = context.backend().remove_pool(id)?;
    let word = done.word();
    let last = match &done {
        Removed::Removed(pool) => view::json(pool),
        Removed::WasAbsent => Value::Null,
    };
    Ok(Answer::new(json!({ "outcome": word, "pool": last }), format!("pool {id}: {word}")))
}
