//! Links the program for one place in memory. It holds hundreds of thousands of pointers (most of them of the
//! engine that is built in), which would all have to be adjusted at each start, page after page.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Of the machine that builds: nobody builds this for another kind.
    if cfg!(target_os = "linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
