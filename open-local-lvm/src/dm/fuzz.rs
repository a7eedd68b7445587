//! The reader of the kernel's answers, for fuzzing.

use super::wire::Answer;

/// Reads bytes as an answer of the kernel in every form an answer has; none of them may panic.
pub fn read_answer(bytes: &[u8]) {
    let (words, _) = bytes.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    let answer = Answer::new(&words);
    let _ = (answer.info(), answer.version(), answer.is_cut());
    let _ = (answer.devices(), answer.versions(), answer.deps());
    let _ = (answer.table(), answer.status(), answer.text());
}
