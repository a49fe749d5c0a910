//! The facts about one function that all of its layers share, and the call that a layer wraps.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::{Expr, spanned::Spanned};

use super::spans::{located_at, quote_mixed, respan};
use crate::item::{async_body::rename_self, captures::Captures, inputs::Inputs};

/// The facts about one function that all of its layers share.
#[allow(clippy::struct_excessive_bools, reason = "the facts are independent")]
pub(crate) struct Context {
    pub(crate) is_async: bool,
    /// The function's name.
    pub(crate) function: String,
    /// The path of the runtime.
    pub(crate) krate: TokenStream,
    /// The return type, as it can be written inside the body.
    pub(crate) output: TokenStream,
    /// The span at which errors about the return type are reported.
    pub(crate) output_span: Span,
    /// The attribute of the layer that is being expanded. Errors about what the attribute requires point at it.
    pub(crate) attribute: Span,
    /// The trait for an error type that would be `Transient` with a feature of the runtime that is off.
    pub(crate) missing_feature: Option<&'static str>,
    /// True if the function returns an `Option`.
    pub(crate) returns_option: bool,
    /// True if the function returns a type that is named `Result`.
    pub(crate) returns_result: bool,
    /// The type parameters of the function.
    pub(crate) type_parameters: Vec<Ident>,
    /// The circuit breakers of all layers that are known before the first call, each as an expression of type `StackBreaker`.
    pub(crate) breakers: Vec<TokenStream>,
    /// The arguments that the layers use more than once.
    pub(crate) inputs: Inputs,
    /// The name that `#[async_trait]` gives to `self`.
    pub(crate) renamed_self: Option<Ident>,
    /// The span of an argument in the body that a method call may move, although another attempt may follow. Only for a function that is
    /// not `async`, whose body is a closure.
    pub(crate) may_move: Option<Span>,
    /// The way in which the innermost block captures the arguments.
    pub(crate) captures: Captures,
    /// True if the call of the old body itself is an attempt of the innermost retry, without a layer between them that waits or calls
    /// other functions.
    pub(crate) is_attempt: bool,
}

/// An expression that makes one call, through the layers so far.
#[allow(clippy::struct_excessive_bools, reason = "the facts are independent")]
pub(crate) struct Call {
    pub(crate) code: TokenStream,
    /// The future that `code` awaits, as an expression that can be polled in place. `None` if `code` does more than await a future.
    pub(crate) future: Option<TokenStream>,
    /// True if `code` evaluates to a pair: the returned value, and the disposition of the call.
    pub(crate) has_disposition: bool,
    /// True if a rate limit or a bulkhead may reject the call.
    pub(crate) is_limited: bool,
    /// True if the option `rejection` of a layer may make the value of a call that is rejected or times out, so that it may be a success.
    pub(crate) has_made_values: bool,
    /// True if `code` already scopes the call as an attempt of the retry above. Otherwise that retry scopes `code`.
    pub(crate) is_scoped: bool,
}

impl Call {
    /// The code as a pair of the returned value and the disposition of the call.
    pub(crate) fn with_disposition(&self, context: &Context) -> TokenStream {
        let (krate, output, code) = (&context.krate, &context.output, &self.code);
        if self.has_disposition {
            return code.clone();
        }
        quote_mixed!({ let outcome: #output = #code; (outcome, #krate::__private::Disposition::Called) })
    }
}

impl Context {
    /// The method call that acquires a permit. It waits, except in an `async` function without the feature `tokio`, which has no timer.
    pub(crate) fn acquire(&self) -> TokenStream {
        match (self.is_async, cfg!(feature = "tokio")) {
            (false, _) => quote_mixed!(acquire()),
            (true, true) => quote_mixed!(acquire_async().await),
            (true, false) => quote_mixed!(try_acquire()),
        }
    }

    /// The method call that acquires as many permits as the variable `permits` holds. It waits as [`acquire`](Self::acquire) does.
    pub(crate) fn acquire_many(&self) -> TokenStream {
        match (self.is_async, cfg!(feature = "tokio")) {
            (false, _) => quote_mixed!(acquire_many(permits)),
            (true, true) => quote_mixed!(acquire_many_async(permits).await),
            (true, false) => quote_mixed!(try_acquire_many(permits)),
        }
    }

    /// A statement that evaluates the option `permits` into the variable of that name. A value that is no integer is reported at the
    /// expression.
    pub(crate) fn permits(&self, value: &Expr) -> TokenStream {
        let at_value = value.span();
        let krate = respan(at_value, &self.krate);
        let count = quote_spanned!(at_value=> #krate::__private::PermitCount::count(#value));
        quote_mixed!(let permits: ::core::primitive::u32 = #count;)
    }

    /// A statement that compiles only if a `self` that the body consumes is `Copy`. Empty if the body does not consume `self`.
    pub(crate) fn check_consumed_self(&self) -> TokenStream {
        let Some(span) = self.inputs.consumed_self else { return TokenStream::new() };
        let this = Ident::new("self", span);
        let span = Span::mixed_site().located_at(span);
        let krate = located_at(span, &self.krate);
        quote_spanned!(span=> #krate::__private::CopyReceiver::check(&#this);)
    }

    /// A call of a runtime function on the outcome. A return type that does not fit is reported at the return type.
    pub(crate) fn outcome_call(&self, function: &str, arguments: &TokenStream) -> TokenStream {
        let span = self.output_span;
        let krate = located_at(span, &self.krate);
        let function = Ident::new(function, span);
        quote_spanned!(span=> #krate::__private::#function(#arguments))
    }

    /// A `match` on `outcome` with an arm for a success and one for a failure. Each arm executes its statements and evaluates to its value,
    /// in which `outcome` is available. The statements for a failure can use the reference `error`.
    ///
    /// | function | output |
    /// | --- | --- |
    /// | not `async` | `match into_result(outcome) { Ok(value) => { success; from_value(value) }, Err(error) => { failure; from_error(error) } }` |
    /// | the same, returns an `Option` | `match outcome { Some(value) => { success; Some(value) }, None => { failure; None } }` |
    /// | `async` | `match error(&outcome) { None => { success; outcome }, Some(error) => { failure; outcome } }` |
    ///
    /// Without a borrow of the outcome, and with statements for a success that do not unwind, the compiler builds the outcome in the caller's
    /// return slot: 3 instead of 9 ns for a call that returns 24 bytes. A conversion between `Option` and `Result` would be a copy. The
    /// compiler does not optimize the code of an `async` function in this way: there, each step between the outcome and the returned value is
    /// a copy, so that a borrow is cheaper.
    pub(crate) fn match_outcome(&self, success: [TokenStream; 2], failure: [TokenStream; 2]) -> TokenStream {
        let ([succeed, succeeded], [fail, failed]) = (success, failure);
        let span = self.output_span;
        let (krate, output) = (located_at(span, &self.krate), &self.output);
        if self.is_async {
            let error = self.outcome_error();
            return quote_mixed! {
                match #error {
                    ::core::option::Option::None => { #succeed #succeeded }
                    ::core::option::Option::Some(error) => { #fail #failed }
                }
            };
        }
        if self.returns_option {
            return quote_mixed! {
                match outcome {
                    ::core::option::Option::Some(success) => {
                        #succeed
                        let outcome: #output = ::core::option::Option::Some(success);
                        #succeeded
                    }
                    ::core::option::Option::None => {
                        let error = &#krate::__private::NoneError::NEW;
                        #fail
                        let outcome: #output = ::core::option::Option::None;
                        #failed
                    }
                }
            };
        }
        let [result, success, failure] =
            [("into_result", "outcome"), ("from_value", "success"), ("from_error", "failure")].map(
                |(method, argument)| {
                    let [method, argument] = [method, argument].map(|name| Ident::new(name, span));
                    quote_spanned!(span=> #krate::__private::CallResult::#method(#argument))
                },
            );
        quote_mixed! {
            match #result {
                ::core::result::Result::Ok(success) => {
                    #succeed
                    let outcome: #output = #success;
                    #succeeded
                }
                ::core::result::Result::Err(failure) => {
                    let error = &failure;
                    #fail
                    let outcome: #output = #failure;
                    #failed
                }
            }
        }
    }

    /// Output: `CallResult::error(&outcome)`. A return type that is neither a `Result` nor an `Option` is reported at the return type.
    pub(crate) fn outcome_error(&self) -> TokenStream {
        let span = self.output_span;
        let krate = located_at(span, &self.krate);
        quote_spanned!(span=> #krate::__private::CallResult::error(&outcome))
    }

    /// The value of a rejected call, from the variable that holds the rejection.
    ///
    /// Input: the trait `FromRateLimited` and the variable `limited`. Output:
    /// `CallResult::from_error(FromRateLimited::from_rejection(limited, PhantomData))`. An error type without that `From` is reported at the
    /// error type, which is the span of the last argument, with a label at the attribute, which is the span of the function.
    ///
    /// With `rejection = make`, `make` creates the error of a `Result`, or the whole value of any other type.
    pub(crate) fn rejected(&self, [from, rejection]: [&str; 2], make: Option<&Expr>) -> TokenStream {
        if let Some(make) = make {
            return self.made_by(make, from, rejection);
        }
        let error = self.rejection_as_error(from, rejection);
        let span = self.output_span;
        let krate = located_at(span, &self.krate);
        quote_spanned!(span=> #krate::__private::CallResult::from_error(#error))
    }

    /// `FromRateLimited::from_rejection(limited, PhantomData)`.
    pub(crate) fn rejection_as_error(&self, from: &str, rejection: &str) -> TokenStream {
        let here = respan(self.attribute, &self.krate);
        let from = match self.missing_feature {
            // The error about this trait names the feature.
            Some("WithRedis") => "CarriesWithRedis",
            Some("WithSqlx") => "CarriesWithSqlx",
            Some("WithTonic") => "CarriesWithTonic",
            _ => from,
        };
        let [from, from_rejection] = [from, "from_rejection"].map(|name| Ident::new(name, self.attribute));
        let rejection = Ident::new(rejection, self.output_span);
        let convert = quote_spanned!(self.attribute=> #here::__private::#from::#from_rejection);
        let error_type = quote_spanned!(self.user_output_span()=> ::core::marker::PhantomData);
        quote_spanned!(self.output_span=> #convert(#rejection, #error_type))
    }

    /// The span of the return type with the hygiene of the user's code, so that an error there does not name the topmost attribute.
    pub(crate) fn user_output_span(&self) -> Span {
        self.output_span.resolved_at(self.attribute)
    }

    /// The expressions of an attribute, with the name that `#[async_trait]` gives to `self`.
    pub(crate) fn renamed(&self, expressions: TokenStream) -> TokenStream {
        rename_self(expressions, self.renamed_self.as_ref())
    }

    /// The values of a call that a limit rejects and of one that it admits.
    ///
    /// Input: as for [`rejected`](Self::rejected). Output: the value of the rejected call, and the code of the `call`. If
    /// `needs_disposition`, both are pairs of the value and the disposition.
    pub(crate) fn limited(
        &self,
        rejection: [&str; 2],
        make: Option<&Expr>,
        call: &Call,
        needs_disposition: bool,
    ) -> (TokenStream, TokenStream) {
        let krate = &self.krate;
        let value = self.rejected(rejection, make);
        if !needs_disposition {
            return (value, call.code.clone());
        }
        let rejected = quote_mixed!((#value, #krate::__private::Disposition::LimitRejected));
        (rejected, call.with_disposition(self))
    }

    /// Returns true if the option `rejection = make` may make a value that is a success. For a `Result`, it makes the error.
    pub(crate) const fn makes_values(&self, make: Option<&Expr>) -> bool {
        make.is_some() && !self.returns_result
    }
}
