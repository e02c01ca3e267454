//! What the heads of files say, for the test of a corpus (`tests/heads`): for each line of the input, `{"path", "length"}`, a
//! line with the answer and what it took. A `length` cuts the file there.

use std::error::Error;
use std::fs;
use std::io::{BufRead, Write, stdin, stdout};

use serde_json::{Value, json};
use shared::domain::item::content::Content;
use shared::domain::item::head::{Head, Parsed};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut path, mut file) = (String::new(), Vec::new());
    let mut out = stdout().lock();
    for line in stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line?)?;
        let name = asked["path"].as_str().ok_or("a line without a path")?;
        if name != path {
            (path, file) = (name.to_owned(), fs::read(name)?);
        }
        let length = asked["length"].as_u64().and_then(|length| usize::try_from(length).ok());
        let file = &file[..length.unwrap_or(file.len()).min(file.len())];
        writeln!(out, "{}", answer(&path, file))?;
    }
    Ok(())
}

fn answer(name: &str, file: &[u8]) -> Value {
    let mut head = Head::of(name, Some(file.len() as u64));
    let (mut ranges, mut bytes) = (0, 0);
    let content = loop {
        match head.parse() {
            Parsed::Content(content) => break content,
            Parsed::Needs { offset, length } => {
                let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
                let end = begin.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)).min(file.len());
                (ranges, bytes) = (ranges + 1, bytes + end - begin);
                head.add(offset, length, file[begin..end].to_vec());
            }
        }
    };
    let said = match &content {
        Content::Picture { format, head } => {
            let stored = head.as_ref().ok();
            json!({
                "is": "picture",
                "format": format.name(),
                "stored": stored.map(|stored| [stored.size.width, stored.size.height]),
                "upright": stored.map(|stored| [stored.upright().width, stored.upright().height]),
                "orientation": stored.map(|stored| stored.orientation.exif()),
                "at": head.as_ref().err().map(|unknown| unknown.at),
            })
        }
        Content::PointCloud(format) => json!({"is": "point_cloud", "format": format!("{format:?}")}),
        Content::CameraRaw(name) => json!({"is": "camera_raw", "format": name}),
        Content::Unsupported(name) => json!({"is": "unsupported", "format": name}),
        Content::Unknown => json!({"is": "unknown"}),
    };
    json!({"path": name, "length": file.len(), "content": said, "why": content.complaint(), "ranges": ranges, "bytes": bytes})
}
