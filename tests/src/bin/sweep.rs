//! Removes what killed test runs left, and says what it found.

fn main() -> std::process::ExitCode {
    let (found, problems) = open_local_tests::sweep::sweep();
    for run in &found {
        println!("swept {run}");
    }
    for problem in &problems {
        eprintln!("could not remove {problem}");
    }
    if problems.is_empty() {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    }
}
