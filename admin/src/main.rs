//! The administration command: API keys, straight in the table of a deployed or a local stack.

mod keys;

use clap::{Args, Parser, Subcommand};
use keys::NewKey;
use shared::domain::{Error, Timestamp};
use shared::lambda::{Aws, SystemClock};
use shared::ports::{Clock, KeyRing};
use shared::store::Store;

/// Administers an Autolabel stack. Region, credentials and endpoint come from the environment, as for the AWS command
/// line.
#[derive(Parser)]
struct Command {
    /// Name of the stack's table (its output `TableName`).
    #[arg(long, env = "TABLE_NAME")]
    table: String,
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Subcommand)]
enum Subject {
    /// API keys.
    #[command(subcommand)]
    Keys(KeysCommand),
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Creates a key and prints it, once: only its hash is stored.
    Create(NewKey),
    /// Lists an organization's keys, newest first: id, name, scopes, creation, end, revocation, requests per minute. A
    /// key shows within about a second of its creation.
    List {
        /// The organization.
        #[arg(long)]
        organization: String,
    },
    /// Ends a key for good, within the time that the functions remember keys.
    Revoke(Named),
    /// Gives a key an end, or another one.
    Expire {
        #[command(flatten)]
        key: Named,
        /// When, as `2027-01-01T00:00:00Z`.
        #[arg(long)]
        at: Timestamp,
    },
}

/// A key that exists.
#[derive(Args)]
struct Named {
    /// Its organization.
    #[arg(long)]
    organization: String,
    /// Its id in the list; more of its hash if two keys begin alike.
    #[arg(long)]
    id: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), String> {
    let Command { table, subject: Subject::Keys(command) } = Command::parse();
    let aws = Aws::for_people().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    run(&store, command).await.map_err(|error| error.chain())
}

async fn run(store: &Store, command: KeysCommand) -> Result<(), Error> {
    let now = SystemClock.now();
    match command {
        KeysCommand::Create(new) => println!("{}", keys::create(store, new, now).await?),
        KeysCommand::List { organization } => {
            for key in keys::list(store, &organization).await? {
                println!("{}", keys::line(&key));
            }
        }
        KeysCommand::Revoke(Named { organization, id }) => {
            let key = keys::find(store, &organization, &id).await?;
            store.revoke_key(&key.hash, now).await?;
        }
        KeysCommand::Expire { key: Named { organization, id }, at } => {
            let key = keys::find(store, &organization, &id).await?;
            store.expire_key(&key.hash, at).await?;
        }
    }
    Ok(())
}
