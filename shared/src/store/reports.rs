//! The per-item report of a job, read from its receipts.

use super::Store;
use super::calls::{classify, read, text};
use super::keys;
use super::rows::ReceiptRow;
use crate::domain::Error;
use crate::domain::id::JobUid;
use crate::domain::job::outcome::{ItemReport, OutcomeKind};
use crate::ports::{Page, Reports, Slice};

/// Receipts of one read, at most.
const RECEIPTS: i32 = 50;
/// Reads that one page of a narrowed report may take; then it is short, and the next one goes on.
const ROUNDS: usize = 5;

/// Where a page ended: the receipt, by its sort key without the prefix, and a line of its report.
#[derive(Clone)]
struct Position {
    receipt: String,
    line: usize,
}

impl Position {
    fn parse(after: &str) -> Result<Self, Error> {
        let (receipt, line) = after.rsplit_once('#').ok_or(Error::InvalidCursor)?;
        Ok(Self { receipt: receipt.to_owned(), line: line.parse().map_err(|_| Error::InvalidCursor)? })
    }

    /// Behind the last line of a receipt.
    const fn end_of(receipt: String, upward: bool) -> Self {
        Self { receipt, line: if upward { usize::MAX } else { 0 } }
    }

    /// As a cursor carries it.
    fn text(self) -> String {
        format!("{}#{}", self.receipt, self.line)
    }

    /// Whether a line of the same receipt comes after it.
    const fn is_before(&self, line: usize, upward: bool) -> bool {
        if upward { self.line < line } else { self.line > line }
    }
}

impl Reports for Store {
    async fn report(&self, job: JobUid, only: Option<OutcomeKind>, slice: &Slice) -> Result<Page<ItemReport>, Error> {
        let mut position = slice.after.as_deref().map(Position::parse).transpose()?;
        let mut entries: Vec<(Position, ItemReport)> = Vec::new();
        let page = |entries: Vec<(Position, ItemReport)>, further: Option<Position>| {
            let page =
                Page::found(slice, entries, further.map(Position::text), |(position, _)| position.clone().text());
            page.with(|entries| entries.into_iter().map(|(_, report)| report).collect())
        };
        let (upward, mut more) = (slice.reads_upward(), true);
        for _ in 0..ROUNDS {
            let (receipts, further) = self.receipts_from(job, position.as_ref(), upward).await?;
            let read = receipts.last().map(|(receipt, _)| Position::end_of(receipt.clone(), upward));
            for (position_of, report) in receipts.into_iter().flat_map(|receipt| lines(receipt, upward)) {
                if position.as_ref().is_some_and(|last| {
                    last.receipt == position_of.receipt && !last.is_before(position_of.line, upward)
                }) {
                    continue;
                }
                if only.is_none_or(|kind| kind == report.outcome) {
                    if entries.len() == slice.limit {
                        let further = entries.last().map(|(last, _): &(Position, _)| last.clone());
                        return Ok(page(entries, further));
                    }
                    entries.push((position_of.clone(), report));
                }
                position = Some(position_of);
            }
            position = read.or(position); // a receipt may have no lines
            more = further;
            if !more {
                break;
            }
        }
        Ok(page(entries, position.filter(|_| more)))
    }
}

/// What a receipt says about its items, each with its position.
fn lines(
    (receipt, mut report): (String, Vec<ItemReport>),
    upward: bool,
) -> impl Iterator<Item = (Position, ItemReport)> {
    let mut positions: Vec<usize> = (0..report.len()).collect();
    if !upward {
        report.reverse();
        positions.reverse();
    }
    positions.into_iter().zip(report).map(move |(line, report)| (Position { receipt: receipt.clone(), line }, report))
}

impl Store {
    /// The reports of some receipts, each with its name, and whether there are more: from the one of `position` on, which
    /// may have lines left.
    async fn receipts_from(
        &self,
        job: JobUid,
        position: Option<&Position>,
        upward: bool,
    ) -> Result<(Vec<(String, Vec<ItemReport>)>, bool), Error> {
        let begun = position.map(|position| format!("{}{}", keys::RECEIPT, position.receipt));
        let (from, to) = match begun {
            Some(begun) if upward => (begun, keys::RECEIPTS_END.to_owned()),
            Some(begun) => (keys::RECEIPT.to_owned(), begun),
            None => (keys::RECEIPT.to_owned(), keys::RECEIPTS_END.to_owned()),
        };
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", text(keys::job_pk(job)))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":to", text(to))
            .scan_index_forward(upward)
            .limit(RECEIPTS);
        let answer = request.send().await.map_err(classify)?;
        let receipts = answer.items.unwrap_or_default().into_iter().map(|row| {
            let row: ReceiptRow = read(row)?;
            let name = row.sk.strip_prefix(keys::RECEIPT).unwrap_or_default().to_owned();
            Ok((name, row.read()?.report()))
        });
        Ok((receipts.collect::<Result<_, Error>>()?, answer.last_evaluated_key.is_some()))
    }
}
