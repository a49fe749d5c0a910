//! Arguments on which the body calls methods that may move them.

use proc_macro2::{Ident, TokenStream, TokenTree};

use super::arguments::{Argument, Rebind};

/// Returns the owned argument that the body calls, or of which it uses methods or fields: `request.send()`. `None` if there is more than
/// one, since the macro cannot see which of them is moved.
///
/// The location is that of the last such use at the outermost level of the body: after a move there is no other use, and in
/// `path.map(|path| path.len())` the inner name is another variable.
pub(crate) fn only_receiver(body: TokenStream, candidates: &[Argument]) -> Option<Ident> {
    let mut receivers = Vec::new();
    find(body, 0, candidates, &mut receivers);
    let level = receivers.iter().map(|(level, _)| *level).min()?;
    let (_, only) = receivers.iter().rfind(|receiver| receiver.0 == level)?;
    receivers.iter().all(|(_, other)| other == only).then(|| only.clone())
}

fn find(body: TokenStream, level: usize, candidates: &[Argument], receivers: &mut Vec<(usize, Ident)>) {
    let tokens: Vec<_> = body.into_iter().collect();
    let is_dot = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(dot)) if dot.as_char() == '.');
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => find(group.stream(), level + 1, candidates, receivers),
            TokenTree::Ident(name) => {
                let is_candidate =
                    candidates.iter().any(|argument| argument.rebind == Rebind::Clone && argument.name == *name);
                let follows_dot = index > 0 && is_dot(tokens.get(index - 1));
                let next = tokens.get(index + 1);
                if is_candidate && !follows_dot && (is_dot(next) || matches!(next, Some(TokenTree::Group(_)))) {
                    receivers.push((level, name.clone()));
                }
            }
            _ => {}
        }
    }
}
