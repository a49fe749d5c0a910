//! A TCP proxy in front of Redis that can cut replies and switch to another server.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering},
    },
    thread,
};

pub(crate) struct Proxy {
    pub(crate) port: u16,
    target: Arc<AtomicU16>,
    cuts_replies: Arc<AtomicBool>,
    pub(crate) cut_count: Arc<AtomicU32>,
}

impl Proxy {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (own_port, target) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU16::new(port)));
        let proxy = Self { port: own_port, target, cuts_replies: Arc::default(), cut_count: Arc::default() };
        let (target, cuts, cut) = (proxy.target.clone(), proxy.cuts_replies.clone(), proxy.cut_count.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target.load(Ordering::Relaxed))) else { continue };
                let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (cuts, cut) = (cuts.clone(), cut.clone());
                thread::spawn(move || forward(from_client, to_server, |_| false));
                thread::spawn(move || {
                    forward(server, client, |_| {
                        let is_cut = cuts.load(Ordering::Relaxed);
                        cut.fetch_add(is_cut.into(), Ordering::Relaxed);
                        is_cut
                    });
                });
            }
        });
        proxy
    }

    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Forwards new connections to another port.
    pub(crate) fn switch_to(&self, port: u16) {
        self.target.store(port, Ordering::Relaxed);
    }

    /// Forwards only half of each reply and closes the connection.
    pub(crate) fn cut_replies(&self, cuts: bool) {
        self.cuts_replies.store(cuts, Ordering::Relaxed);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, is_cut: impl Fn(&[u8]) -> bool) {
    let mut buffer = [0; 4_096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let is_cut = is_cut(&buffer[..length]);
        let forwarded = if is_cut { length / 2 } else { length };
        if to.write_all(&buffer[..forwarded]).is_err() || is_cut {
            break;
        }
    }
    _ = from.shutdown(Shutdown::Both);
    _ = to.shutdown(Shutdown::Both);
}
