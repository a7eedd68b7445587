//! Pages of lists.

use crate::errors::{Answer, Code, Status};

/// The beginning of every token of ours.
const TOKEN: &str = "after:";

/// Which part of a list is asked for.
///
/// Lists are sorted by id and a token names the last id that was answered, so that what is made
/// or removed between two pages neither hides nor repeats anything else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Only ids after this one.
    pub after: Option<String>,
    /// At most so many; all when unset.
    pub most: Option<usize>,
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a negative number of entries; `ABORTED` for a token that is none of
    /// ours, so that the list is asked for from its beginning.
    pub fn read(max_entries: i32, starting_token: &str) -> Answer<Self> {
        let most = usize::try_from(max_entries)
            .map_err(|_| Status::invalid("max_entries", "is negative"))?;
        let after = match starting_token {
            "" => None,
            token => Some(read_token(token)?),
        };
        Ok(Self { after, most: (most != 0).then_some(most) })
    }

    /// The entries of this page out of all, and the token of the next.
    #[must_use]
    pub fn cut<T>(&self, mut all: Vec<(String, T)>) -> (Vec<T>, String) {
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.retain(|(id, _)| self.after.as_ref().is_none_or(|after| id > after));
        let Some(most) = self.most.filter(|most| *most < all.len()) else {
            return (all.into_iter().map(|(_, entry)| entry).collect(), String::new());
        };
        all.truncate(most);
        let token = all.last().map(|(id, _)| format!("{TOKEN}{id}")).unwrap_or_default();
        (all.into_iter().map(|(_, entry)| entry).collect(), token)
    }
}

fn read_token(token: &str) -> Answer<String> {
    let id = token.strip_prefix(TOKEN).filter(|id| !id.is_empty() && id.len() <= 256);
    id.map(str::to_owned).ok_or_else(|| {
        Status::new(Code::Aborted, "starting_token is none of this plugin; list from the beginning")
    })
}
