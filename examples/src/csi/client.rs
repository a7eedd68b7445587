//! `open-local csi-client`: any socket of the interface called by hand.
//!
//! [`calls`] are the commands, `send` makes a request of one and calls, `show` turns answers into
//! tables and JSON, `refusal` turns refusals into errors with the exit code of their kind.

pub mod calls;
pub mod way;

mod refusal;
mod send;
mod show;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use open_local_core::{Error, Op, Result, Subject};
use tonic::transport::{Channel, Endpoint};

use self::calls::Call;
use self::send::Client;
use super::{listen, settings};
use crate::answer::Answer;
use crate::cli::confirm;
use crate::context::Globals;

/// Arguments of `csi-client`.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// The socket: unix:///run/csi/csi.sock or its path
    #[arg(long, global = true, value_name = "SOCKET", env = "CSI_ENDPOINT",
          default_value = "unix:///tmp/csi.sock", value_parser = listen::socket)]
    pub endpoint: PathBuf,
    /// How long to wait for the answer, such as 90s or 5m
    #[arg(long, global = true, value_name = "DURATION", default_value = "2m",
          value_parser = settings::duration)]
    pub timeout: Duration,
    /// The call
    #[command(subcommand)]
    pub call: Call,
}

/// Calls and shows the answer.
///
/// # Errors
/// The kind that stands for the code of the refusal; `Indeterminate` if no answer came in time.
pub fn run(globals: &Globals, arguments: &Arguments) -> Result<Answer> {
    let socket = &arguments.endpoint;
    let rpc = arguments.call.rpc();
    if globals.dry_run && arguments.call.changes() {
        let steps = [format!("call {rpc}")];
        let plan = open_local_core::Plan::new(Subject::path(socket), &steps);
        return Ok(crate::view::change::answer(&plan));
    }
    if arguments.call.destroys() {
        let what = format!("{rpc} removes what it names");
        confirm::destruction(globals, Op::Call, Subject::path(socket), &what)?;
    }
    let failed = |e| Error::from_io(Op::Call, Subject::path(socket), "no thread to call from", e);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let calling = async {
            let channel = connect(socket).await?;
            Client::new(channel, socket).call(&arguments.call).await
        };
        match tokio::time::timeout(arguments.timeout, calling).await {
            Ok(answer) => answer,
            Err(_) => Err(refusal::late(socket, rpc, arguments.timeout)),
        }
    })
}

async fn connect(socket: &PathBuf) -> Result<Channel> {
    let failed = |e: tonic::transport::Error| refusal::unreachable(socket, e);
    let uri = format!("unix://{}", socket.display());
    Endpoint::from_shared(uri).map_err(failed)?.connect().await.map_err(failed)
}
