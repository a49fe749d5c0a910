//! Values of the form `name`, `name(value)` or `name(key = value, ...)`, such as `exponential(base = 100ms, max = 10s)`.

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::{Error, Expr, ExprLit, Lit, Result, spanned::Spanned};

use super::{
    duration::DurationExpr,
    spelling::{self, list, nearest},
    text::one_line,
    values::{single_ident, ungroup, without_quotes},
};

/// The parameters in the parentheses that are not taken yet.
pub(crate) struct Parameters {
    owner: Ident,
    given: Vec<Parameter>,
    /// The keys that [`take`](Self::take) was called with. The empty key stands for a value without a key.
    known: Vec<&'static str>,
}

struct Parameter {
    /// `None` for a value without a key.
    key: Option<Ident>,
    value: Expr,
}

impl Parameter {
    fn has_key(&self, name: &str) -> bool {
        self.key.as_ref().map_or(name.is_empty(), |key| key == name)
    }

    fn span(&self) -> Span {
        self.key.as_ref().map_or_else(|| self.value.span(), Ident::span)
    }
}

impl Parameters {
    /// Splits the value of `option` into the name, which must be one of `names`, and its parameters.
    pub(crate) fn parse(value: Expr, option: &str, names: &[&str]) -> Result<(Ident, Self)> {
        let expected =
            |tokens: &dyn ToTokens| Error::new_spanned(tokens, format!("`{option}` must be one of {}", list(names)));
        let (function, arguments) = match value {
            Expr::Call(call) => (*call.func, call.args.into_iter().collect()),
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => return Err(without_quotes(&text, names)),
            Expr::Struct(value) if names.iter().any(|name| value.path.is_ident(name)) => {
                let name = value.path.to_token_stream();
                let message = format!("the parameters of `{name}` are in parentheses: `{name}(...)`");
                return Err(Error::new_spanned(value, message));
            }
            other => (other, Vec::new()),
        };
        let Some(name) = single_ident(&function).cloned() else {
            return Err(match spelling::meant(option, &one_line(&function), names) {
                Some(meant) => {
                    Error::new_spanned(&function, format!("write `{option} = {meant}`\nthe values are {}", list(names)))
                }
                None => expected(&function),
            });
        };
        let text = name.to_string();
        if !names.contains(&text.as_str()) {
            let meant = spelling::meant(option, &text, names).or_else(|| nearest(&text, names).map(ToOwned::to_owned));
            let near = meant.map(|meant| format!(": did you mean `{meant}`?")).unwrap_or_default();
            let list = if names.len() > 1 { format!("\nthe values are {}", list(names)) } else { String::new() };
            return Err(Error::new_spanned(&name, format!("unknown value `{text}` of `{option}`{near}{list}")));
        }
        let mut parameters = Self { owner: name.clone(), given: Vec::new(), known: Vec::new() };
        for argument in arguments {
            let parameter = match argument {
                Expr::Assign(assign) => match single_ident(&assign.left) {
                    Some(key) => Parameter { key: Some(key.clone()), value: ungroup(*assign.right) },
                    None => return Err(Error::new_spanned(assign.left, "expected the name of a parameter")),
                },
                value => Parameter { key: None, value: ungroup(value) },
            };
            // A second value without a name is reported by `finish`.
            if let Some(key) = &parameter.key
                && parameters.given.iter().any(|other| other.has_key(&key.to_string()))
            {
                return Err(Error::new(parameter.span(), format!("`{key}` is given twice")));
            }
            parameters.given.push(parameter);
        }
        Ok((name, parameters))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Takes the value of `key = value`, or the value without a key if `key` is empty.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Expr> {
        self.known.push(key);
        let index = self.given.iter().position(|given| given.has_key(key))?;
        Some(self.given.remove(index).value)
    }

    /// Takes a duration.
    pub(crate) fn duration(&mut self, key: &'static str, default: DurationExpr) -> Result<DurationExpr> {
        self.take(key).map_or(Ok(default), DurationExpr::parse)
    }

    /// Takes `base` and `max`, and checks that `max` is not below `base`.
    pub(crate) fn base_and_max(
        &mut self,
        default_base: DurationExpr,
        default_max: DurationExpr,
    ) -> Result<(DurationExpr, DurationExpr)> {
        let (base, max) = (self.take("base"), self.take("max"));
        let span = max.as_ref().or(base.as_ref()).map_or_else(|| self.owner.span(), Spanned::span);
        let base = base.map_or(Ok(default_base), DurationExpr::parse)?;
        let max_is_default = max.is_none();
        let max = max.map_or(Ok(default_max), DurationExpr::parse)?;
        match (base.known(), max.known()) {
            (Some(base), Some(max)) if max < base => Err(Error::new(
                span,
                if max_is_default {
                    format!("`base` is above the default `max` of {max:?}: add a larger `max`")
                } else {
                    format!("`max` ({max:?}) must not be below `base` ({base:?})")
                },
            )),
            _ => Ok((base, max)),
        }
    }

    /// Reports the first parameter that was not taken as unknown.
    pub(crate) fn finish(self) -> Result<()> {
        let Some(left) = self.given.first() else { return Ok(()) };
        let named: Vec<_> = self.known.iter().copied().filter(|key| !key.is_empty()).collect();
        let owner = &self.owner;
        let message = match (&left.key, named.as_slice()) {
            (_, []) if self.known.is_empty() => format!("`{owner}` takes no parameters"),
            (None, []) => format!("`{owner}` takes a single value"),
            (Some(key), []) => {
                format!(
                    "`{owner}` takes a single value, without the name `{key}`: `{owner}({})`",
                    one_line(&left.value)
                )
            }
            (None, named) => format!("`{owner}` takes its parameters by name: {}", self.by_name(named)),
            (Some(key), named) => {
                let key = key.to_string();
                let meant = spelling::meant_parameter(&key, named).or_else(|| nearest(&key, named));
                let near = meant.map(|near| format!(": did you mean `{near}`?"));
                format!(
                    "`{owner}` has no parameter `{key}`{}\nthe parameters are {}",
                    near.unwrap_or_default(),
                    list(named)
                )
            }
        };
        Err(Error::new(left.span(), message))
    }

    /// The values without a name as an example with names, in the usual order: `exponential(100ms, 10s)` is
    /// `exponential(base = 100ms, max = 10s)`. The list of the names, if there are more values.
    fn by_name(&self, known: &[&str]) -> String {
        let values: Vec<_> = self.given.iter().filter(|given| given.key.is_none()).collect();
        let is_free = |name: &&&str| self.given.iter().all(|given| !given.has_key(name));
        let free: Vec<_> = known.iter().filter(is_free).collect();
        if values.len() > free.len() {
            return list(known);
        }
        let example: Vec<_> =
            free.iter().zip(&values).map(|(name, given)| format!("{name} = {}", one_line(&given.value))).collect();
        format!("`{}({})`", self.owner, example.join(", "))
    }
}
