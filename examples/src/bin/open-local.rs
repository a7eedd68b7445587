//! Node-local storage at the shell: pools, volumes, snapshots, file systems and I/O limits.

fn main() -> std::process::ExitCode {
    open_local_examples::cli::main()
}
