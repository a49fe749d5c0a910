//! Functions of many shapes compile with each attribute, and with both in either order.
#![deny(warnings)]
#![allow(clippy::all, improper_ctypes_definitions)]

use std::{fmt::Display, io, sync::Arc};

use steadfast::{circuit_breaker, retry};

macro_rules! shapes {
    ($name:ident: $(#[$attribute:meta])*) => {
        #[allow(dead_code)]
        mod $name {
            use super::*;

            pub struct Client {
                name: String,
            }

            $(#[$attribute])* pub fn by_reference(text: &str) -> io::Result<usize> { Ok(text.len()) }
            $(#[$attribute])* pub async fn by_reference_async(text: &str) -> io::Result<usize> { Ok(text.len()) }
            $(#[$attribute])* pub fn by_mut(text: &mut String) -> io::Result<usize> { text.push('x'); Ok(text.len()) }
            $(#[$attribute])* pub async fn by_mut_async(text: &mut String) -> io::Result<usize> { text.push('x'); Ok(text.len()) }
            $(#[$attribute])* pub fn owned(text: String) -> io::Result<usize> { Ok(text.len()) }
            $(#[$attribute])* pub fn moved(text: String) -> io::Result<String> { Ok(text) }
            $(#[$attribute])* pub async fn moved_async(text: String) -> io::Result<String> { Ok(text) }
            $(#[$attribute])* pub fn changed(mut text: String) -> io::Result<usize> { text.push('x'); Ok(text.len()) }
            $(#[$attribute])* pub fn apart((a, _): (u8, u8), [b, c]: [u8; 2]) -> io::Result<u8> { Ok(a + b + c) }
            $(#[$attribute])* pub fn ignored(_: String, _rest: u8) -> io::Result<u8> { Ok(1) }
            $(#[$attribute])* pub fn some_display(text: impl Display + Clone) -> io::Result<impl Display> { Ok(text.to_string()) }
            $(#[$attribute])* pub async fn some_display_async(text: impl Display) -> io::Result<impl Display> { Ok(text.to_string()) }
            $(#[$attribute])* pub fn generic<T, const N: usize>(items: [T; N]) -> io::Result<usize> where T: Display { Ok(items.len()) }
            $(#[$attribute])* pub fn borrowed<'a>(text: &'a str) -> io::Result<&'a str> { Ok(&text[..]) }
            $(#[$attribute])* pub fn absent(text: &str) -> Option<char> { text.chars().next() }
            $(#[$attribute])* pub fn questions(text: &str) -> io::Result<u8> {
                let read = |path: &str| -> io::Result<u8> { Ok(std::fs::read(path)?[0]) };
                if text.is_empty() { return Ok(0); }
                let text = std::fs::read_to_string(text)?;
                Ok(format!("{}", read(&text)?).len() as u8)
            }
            $(#[$attribute])* pub async fn questions_async(text: &str) -> io::Result<u8> {
                if text.is_empty() { return Ok(0); }
                let inner = async { Ok::<_, io::Error>(std::fs::read_to_string(text)?) };
                'outer: loop { loop { break 'outer; } }
                Ok(inner.await?.len() as u8)
            }
            $(#[$attribute])* pub fn any(text: &str) -> anyhow::Result<u8> { Ok(text.parse()?) }
            $(#[$attribute])* pub async fn boxed(text: &str) -> Result<u8, Box<dyn std::error::Error + Send + Sync>> { Ok(text.parse()?) }
            $(#[$attribute])* pub fn diverging() -> io::Result<u8> { panic!("no") }
            $(#[$attribute])* pub async fn diverging_async() -> io::Result<u8> { panic!("no") }
            $(#[$attribute])* pub fn raw(r#type: &str) -> io::Result<usize> { Ok(r#type.len()) }
            $(#[$attribute])* pub unsafe fn dangerous(at: *const u8) -> io::Result<u8> { Ok(unsafe { *at }) }
            $(#[$attribute])* pub extern "C" fn c() -> io::Result<u8> { Ok(1) }

            impl Client {
                $(#[$attribute])* pub fn name(&self) -> io::Result<&str> { Ok(&self.name) }
                $(#[$attribute])* pub async fn name_async(&self) -> io::Result<&str> { Ok(&self.name) }
                $(#[$attribute])* pub fn rename(&mut self, name: &str) -> io::Result<usize> { self.name.push_str(name); Ok(1) }
                $(#[$attribute])* pub async fn rename_async(&mut self, name: &str) -> io::Result<usize> { self.name.push_str(name); Ok(1) }
                $(#[$attribute])* pub fn shared(self: Arc<Self>) -> io::Result<usize> { Ok(self.name.len()) }
                $(#[$attribute])* pub fn boxed(self: Box<Self>) -> io::Result<usize> { Ok(self.name.len()) }
                $(#[$attribute])* pub fn by_value(self) -> io::Result<usize> { Ok(self.name.len()) }
                $(#[$attribute])* pub fn associated(name: &str) -> io::Result<Self> { Ok(Self { name: name.to_owned() }) }
            }

            pub trait Named {
                $(#[$attribute])* fn provided(&self) -> io::Result<u8> { Ok(1) }
                #[allow(async_fn_in_trait)]
                async fn native(&self) -> io::Result<u8>;
            }

            impl Named for Client {
                $(#[$attribute])* async fn native(&self) -> io::Result<u8> { Ok(1) }
            }

            fn is_send(_: impl Send) {}
            pub fn sends() { is_send(by_reference_async("")); is_send(by_mut_async(&mut String::new())); }
        }
    };
}

shapes!(retried: #[retry(max_attempts = 2, retry_if = any)]);
shapes!(broken: #[circuit_breaker(name = "shapes")]);
shapes!(retried_over_broken: #[retry(max_attempts = 2, retry_if = any)] #[circuit_breaker(name = "shapes")]);
shapes!(broken_over_retried: #[circuit_breaker(name = "shapes")] #[retry(max_attempts = 2, retry_if = any)]);

fn main() {}
