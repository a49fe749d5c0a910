//! A way to Redis that can be cut, and that can lead to another.

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
    to: Arc<AtomicU16>,
    cuts: Arc<AtomicBool>,
    pub(crate) cut: Arc<AtomicU32>,
}

impl Proxy {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (own, to) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU16::new(port)));
        let proxy = Self { port: own, to, cuts: Arc::default(), cut: Arc::default() };
        let (to, cuts, cut) = (proxy.to.clone(), proxy.cuts.clone(), proxy.cut.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to.load(Ordering::Relaxed))) else { continue };
                let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (cuts, cut) = (cuts.clone(), cut.clone());
                thread::spawn(move || pass_on(from_client, to_server, |_| false));
                thread::spawn(move || {
                    pass_on(server, client, |_| {
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

    /// Leads there from now on.
    pub(crate) fn lead_to(&self, port: u16) {
        self.to.store(port, Ordering::Relaxed);
    }

    /// Lets half of an answer through and cuts the connection, with every answer.
    pub(crate) fn cut_answers(&self, cuts: bool) {
        self.cuts.store(cuts, Ordering::Relaxed);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, is_cut: impl Fn(&[u8]) -> bool) {
    let mut buffer = [0; 4_096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let is_cut = is_cut(&buffer[..length]);
        let passed = if is_cut { length / 2 } else { length };
        if to.write_all(&buffer[..passed]).is_err() || is_cut {
            break;
        }
    }
    _ = from.shutdown(Shutdown::Both);
    _ = to.shutdown(Shutdown::Both);
}
