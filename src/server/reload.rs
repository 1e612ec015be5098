//! What a running server reads again when it is told to, see [`Running::reload`](super::Running).

use super::Server;
use crate::config::Config;

/// Something that was read at the start and can be read again.
struct Reloadable {
    /// As the log calls it.
    name: &'static str,
    /// Reads it again and says what holds now, or why what held before still does.
    reload: fn(&Server, &Config) -> Result<String, String>,
}

/// All of it, in the order in which it is read. Options are not among it: they are the command
/// line's, which does not change while a process runs.
const RELOADABLES: &[Reloadable] = &[
    Reloadable {
        name: "limits of the system",
        reload: system_limits,
    },
    #[cfg(feature = "tls")]
    Reloadable {
        name: "certificate",
        reload: certificate,
    },
];

/// Reads everything again; a failure does not stop the others.
pub(crate) fn all(server: &Server, config: &Config) {
    for reloadable in RELOADABLES {
        match (reloadable.reload)(server, config) {
            Ok(now) => log::info!("reloaded: {}: {now}", reloadable.name),
            Err(why) => log::warn!("not reloaded: {}: {why}", reloadable.name),
        }
    }
    log::info!("not reloaded: the options, which are read at the start alone");
}

/// What new connections with TLS are shown; those that are there go on with what they were shown.
#[cfg(feature = "tls")]
fn certificate(server: &Server, _: &Config) -> Result<String, String> {
    let Some(identity) = &server.identity else {
        return Ok("none, as there is no --tls-listen".to_owned());
    };
    identity.reload().map_err(|error| error.to_string())?;
    identity.tell();
    Ok(identity.certificate().display().to_string())
}

/// The number of connection slots, which an operator may have made room for since the start: by
/// `prlimit`, by `vm.max_map_count`, or by the limit of tasks.
fn system_limits(server: &Server, config: &Config) -> Result<String, String> {
    let threads = &server.context.threads;
    threads.read_limit();
    let clients = super::max_clients(config, threads).map_err(|error| error.to_string())?;
    server.slots.set_all(clients);
    Ok(format!(
        "{clients} connections of {} asked for, {} threads",
        config.max_clients,
        threads.limit()
    ))
}
