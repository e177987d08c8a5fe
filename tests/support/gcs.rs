//! Our own idea of Google Cloud Storage's XML interface, as no server that speaks it can be had: objects with
//! generations, puts on a condition, and listings. It shows that we use the library rightly, and nothing of
//! what the service does.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use super::s3::{Request, read};

pub struct Gcs {
    port: u16,
}

#[derive(Default)]
struct Bucket {
    generation: u64,
    objects: BTreeMap<String, (u64, Vec<u8>)>,
}

impl Gcs {
    pub fn new() -> Gcs {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let bucket = Arc::new(Mutex::new(Bucket::default()));
        thread::spawn(move || {
            for from in listener.incoming().flatten() {
                let bucket = Arc::clone(&bucket);
                thread::spawn(move || answer(from, &bucket));
            }
        });
        Gcs { port }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn answer(mut from: TcpStream, bucket: &Mutex<Bucket>) {
    let Some(request) = read(&from) else { return };
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let key = path.trim_start_matches('/').split_once('/').map(|it| decoded(it.1));
    let (status, headers, body) = match key {
        None => ("200 OK", String::new(), listing(&bucket.lock().unwrap(), query)),
        Some(key) => bucket.lock().unwrap().act(&request, key),
    };
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let body = if request.method == "HEAD" { &[][..] } else { &body };
    let _ = from.write_all(&[head.as_bytes(), body].concat());
}

impl Bucket {
    fn act(&mut self, request: &Request, key: String) -> (&'static str, String, Vec<u8>) {
        let now = self.objects.get(&key).map_or(0, |it| it.0);
        let refused = |status| (status, String::new(), Vec::new());
        match &*request.method {
            "GET" | "HEAD" => match self.objects.get(&key) {
                Some((generation, bytes)) => ("200 OK", headers(*generation), bytes.clone()),
                None => refused("404 Not Found"),
            },
            "PUT" => {
                if request.header("x-goog-if-generation-match").is_some_and(|it| it != now.to_string()) {
                    return refused("412 Precondition Failed");
                }
                self.generation += 1;
                self.objects.insert(key, (self.generation, request.body().to_vec()));
                ("200 OK", headers(self.generation), Vec::new())
            }
            "DELETE" if self.objects.remove(&key).is_some() => refused("204 No Content"),
            "DELETE" => refused("404 Not Found"),
            _ => refused("501 Not Implemented"),
        }
    }
}

fn headers(generation: u64) -> String {
    format!(
        "ETag: \"tag-{generation}\"\r\nx-goog-generation: {generation}\r\nLast-Modified: Sat, 21 Nov 2026 08:00:00 GMT\r\n"
    )
}

fn listing(bucket: &Bucket, query: &str) -> Vec<u8> {
    let value = |name: &str| query.split('&').find_map(|it| Some(decoded(it.strip_prefix(name)?.strip_prefix('=')?)));
    let (prefix, delimiter) = (value("prefix").unwrap_or_default(), value("delimiter"));
    let mut folders = BTreeSet::new();
    let mut text = String::new();
    for (key, (generation, bytes)) in bucket.objects.iter().filter(|it| it.0.starts_with(&prefix)) {
        let rest = &key[prefix.len()..];
        match delimiter.as_deref().and_then(|it| rest.find(it)) {
            Some(at) => drop(folders.insert(&key[..=prefix.len() + at])),
            None => text.push_str(&format!(
                "<Contents><Key>{key}</Key><Size>{}</Size><ETag>\"tag-{generation}\"</ETag>\
                 <LastModified>2026-11-21T08:00:00.000Z</LastModified></Contents>",
                bytes.len()
            )),
        }
    }
    folders.iter().for_each(|it| text.push_str(&format!("<CommonPrefixes><Prefix>{it}</Prefix></CommonPrefixes>")));
    format!("<?xml version='1.0' encoding='UTF-8'?><ListBucketResult>{text}</ListBucketResult>").into_bytes()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}
