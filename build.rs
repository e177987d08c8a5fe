//! Links the program for one place in memory. It holds hundreds of thousands of pointers (most of them of the
//! engine that is built in), which would all have to be adjusted at each start, page after page.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|it| it == "linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
