//! A way to the table on which calls fail as AWS's do: what no implementation shows by itself.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// Nothing is written: the row is part of a transaction at this moment.
    Conflict,
    /// It is made, and its answer is lost.
    AnswerLost,
    /// A read of many rows that a busy table does not do: it gives the keys back.
    Unprocessed,
}

const CONFLICT: &str = r#"{"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException", "message": "Transaction is ongoing for the item"}"#;

/// The address of a way to `upstream` on which the first calls meet these fates, and all others none.
pub(crate) fn way_to(upstream: &str, fates: &[Fate]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let upstream = upstream.trim_start_matches("http://").to_owned();
    let fates = Arc::new(Mutex::new(VecDeque::from(fates.to_vec())));
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let (upstream, fates) = (upstream.clone(), Arc::clone(&fates));
            std::thread::spawn(move || serve(connection, &upstream, &fates));
        }
    });
    address
}

/// One call: every answer ends its connection.
fn serve(mut connection: TcpStream, upstream: &str, fates: &Mutex<VecDeque<Fate>>) {
    let Some(request) = read(&connection) else { return };
    let fate = fates.lock().unwrap().pop_front();
    if let Some(Fate::Conflict) = fate {
        let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: close";
        write!(connection, "{head}\r\ncontent-length: {}\r\n\r\n{CONFLICT}", CONFLICT.len()).unwrap();
        return;
    }
    if let Some(Fate::Unprocessed) = fate {
        let body = request.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        let asked: Value = serde_json::from_slice(&request[body..]).unwrap();
        let answer = json!({"Responses": {}, "UnprocessedKeys": asked["RequestItems"]}).to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: close";
        write!(connection, "{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).unwrap();
        return;
    }
    let mut server = TcpStream::connect(upstream).unwrap();
    server.write_all(&request).unwrap();
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).unwrap();
    if fate.is_none() {
        connection.write_all(&answer).unwrap();
    }
}

/// A whole request, which asks for no other on its connection.
fn read(connection: &TcpStream) -> Option<Vec<u8>> {
    let mut reader = BufReader::new(connection);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        head += &line;
    }
    let mut request = format!("{head}connection: close\r\n\r\n").into_bytes();
    let begin = request.len();
    request.resize(begin + length, 0);
    reader.read_exact(&mut request[begin..]).ok()?;
    Some(request)
}
