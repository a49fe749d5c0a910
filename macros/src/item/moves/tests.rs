use quote::format_ident;

use super::*;

#[test]
fn moved_and_borrowed_arguments() {
    for (body, moves) in [
        // moved as a whole
        ("{ send(x) }", true),
        ("{ send(1, x).await? }", true),
        ("{ let y = x; }", true),
        ("{ return x; }", true),
        ("{ Order { x } }", true),
        ("{ Order { id: x } }", true),
        ("{ Some(x) }", true),
        ("{ (x, 1) }", true),
        ("{ [x] }", true),
        ("{ x? }", true),
        ("{ x.await }", true),
        ("{ x.into() }", true),
        ("{ x.into_bytes() }", true),
        ("{ for y in x {} }", true),
        ("{ client.post(x) }", true),
        ("{ move || x.len() }", true),
        ("{ async move { x.len() } }", true),
        ("{ spawn(async move { print(&x) }) }", true),
        ("{ vec![x] }", true),
        ("{ pin!(x) }", true),
        ("{ y += x; }", true),
        ("{ -x }", true),
        ("{ x ^ 1 }", true),
        ("{ move || println!(\"{x}\") }", true),
        ("{ async move { info!(\"{y} {x:?}\") } }", true),
        ("{ format!(\"{}\", send(x)) }", true),
        ("{ move || println!(\"{}\", x) }", true),
        ("{ match x { Some(y) => y, None => 0 } }", true),
        ("{ if let Some(y) = x { y } }", true),
        ("{ if ready { send(x) } }", true),
        ("{ loop { break x } }", true),
        ("{ x + 1 }", true),
        ("{ { let x = 1; } x }", true),
        ("{ |y| send(x) }", true),
        // only borrowed
        ("{ send(&x) }", false),
        ("{ send(&mut x) }", false),
        ("{ x(1) }", false),
        ("{ x += 1; }", false),
        ("{ if let Some(x) = y && t(x) { t(x) } }", false),
        ("{ move || println!(\"{xs}\") }", false),
        ("{ x.len() }", false),
        ("{ x.field.len() }", false),
        ("{ send(&x.field) }", false),
        ("{ x[0] }", false),
        ("{ map[x] }", false),
        ("{ x == y }", false),
        ("{ if x { 1 } else { 2 } }", false),
        ("{ format!(\"{}\", x) }", false),
        ("{ match x { Kind::A => 1, _ => 2 } }", false),
        ("{ match &x { Some(y) => y, None => 0 } }", false),
        ("{ async { x.len() } }", false),
        ("{ let x = x.clone(); send(x) }", false),
        ("{ let x = &x; send(x) }", false),
        ("{ |x| send(x) }", false),
        ("{ if let Some(x) = y { send(x) } }", false),
        ("{ for x in y { send(x) } }", false),
        ("{ match y { x => send(x) } }", false),
        ("{ *x = 1; }", false),
        ("{ fn inner(x: u8) -> u8 { x } }", false),
        ("{ x.a(x.b()) }", false),
    ] {
        let tokens: TokenStream = body.parse().expect(body);
        let found = Moved::by(&tokens, [format_ident!("x")]);
        assert_eq!(!found.all.is_empty(), moves, "{body}");
    }
}
