//! The administration command: API keys, straight in the table of a deployed or a local stack.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Parser, Subcommand};
use shared::domain::id::OrganizationUid;
use shared::domain::key::{ApiKey, KeyHash};
use shared::lambda::{Aws, SystemClock};
use shared::ports::{Clock, Keys};
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
    Create {
        /// The organization: naming it twice means the same one.
        #[arg(long)]
        organization: String,
        /// What the key is for.
        #[arg(long)]
        name: String,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Command { table, subject: Subject::Keys(KeysCommand::Create { organization, name }) } = Command::parse();
    let aws = Aws::for_people().await;
    let store = Store::new(aws_sdk_dynamodb::Client::new(aws.config()), table);
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    let secret = format!("avk_{}", URL_SAFE_NO_PAD.encode(random));
    let key = ApiKey {
        organization: OrganizationUid::named(&organization),
        name,
        scopes: Vec::new(),
        created_at: SystemClock.now(),
        expires_at: None,
        revoked_at: None,
    };
    store.add_key(&KeyHash::of(&secret), &key).await.map_err(|error| error.chain())?;
    println!("{secret}");
    Ok(())
}
