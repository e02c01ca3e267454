//! How a worker gives its job up, and that no repeated invocation goes on with it.

use shared::domain::Timestamp;
use shared::domain::provider::InferenceProvider;
use shared::ports::{Jobs, Providers};

use super::*;

/// The task's answer may be lost, and Step Functions invokes the worker again.
#[tokio::test(start_paused = true)]
async fn a_job_that_was_given_up_is_given_up_by_every_later_invocation_too() {
    let (worker, batch) = worker(running(), ScriptedModel::refusing_at(10), Fault::default()).await;
    let lost = worker.run(&batch, "a", far()).await.unwrap_err();
    let (asked, counters) = (worker.models.0.asked().len(), worker.store.now().state.counters);
    assert!(counters.processed() < counters.total && counters.processed() % CHUNK != 0, "a chunk is short of items");

    // The model would serve again.
    let again = worker.run(&batch, "b", far()).await.unwrap_err();
    let other = Batch { batch: 4, ..batch.clone() };
    let of_another_batch = worker.run(&other, "a", far()).await.unwrap_err();

    for error in [again, of_another_batch] {
        assert_eq!((error.code(), error.to_string()), (ErrorCode::ProviderRefused, lost.to_string()));
    }
    assert_eq!((worker.models.0.asked().len(), worker.store.now().state.counters), (asked, counters));
}

/// What is committed short of items without the record would stay so.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_cannot_be_recorded_leaves_no_chunk_short_of_items() {
    let mut recorded = false;
    for call in 1.. {
        let (worker, batch) = worker(running(), ScriptedModel::refusing_at(10), Fault::at(call, false)).await;

        let first = worker.run(&batch, "a", far()).await.unwrap_err();
        if first.code() == ErrorCode::ProviderRefused {
            recorded = true;
            break;
        }
        let state = worker.store.now().state;
        assert!(state.refusal.is_some() || state.counters.processed() % CHUNK == 0, "call {call}: {state:?}");
    }
    assert!(recorded);
}

fn a_provider() -> InferenceProvider {
    let config = json!({"endpoint_name": "yolo", "region": "us-east-1"});
    let body = json!({"name": "p", "provider_type": "sagemaker", "config": config}).to_string();
    let url = |_| Err("no endpoint of this kind has a URL".to_owned());
    InferenceProvider::read(body.as_bytes(), a_job().spec.organization, Timestamp::UNIX_EPOCH, url).unwrap().0
}

/// Contract, 8.2: the job fails.
#[tokio::test(start_paused = true)]
async fn a_provider_that_is_removed_or_deactivated_in_mid_job_is_soon_called_no_more() {
    for removed in [true, false] {
        let provider = a_provider();
        let mut job = running();
        job.spec.provider = Some(provider.uid);
        let (worker, batch) = worker_for(job, &(0..1_000).map(an_item).collect::<Vec<_>>()).await;
        worker.providers.add_provider(&provider).await.unwrap();
        let begun = Instant::now();
        let change = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            if removed {
                worker.providers.remove_provider(provider.organization, provider.uid).await.unwrap();
            } else {
                let inactive = InferenceProvider { is_active: false, ..provider.clone() };
                assert!(worker.providers.update_provider(&provider, &inactive).await.unwrap());
            }
        };

        let (report, ()) = tokio::join!(worker.run(&batch, "a", far()), change);

        let refused = report.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::ProviderRefused);
        assert!(begun.elapsed() <= WATCH_PROVIDER + WATCH + Duration::from_millis(50), "{:?}", begun.elapsed());
        let job = worker.store.job(batch.job).await.unwrap();
        assert_eq!(job.state.counters.processed() as usize, worker.models.0.asked().len(), "what was asked counts");
        assert_eq!(job.state.refusal, Some(refused.to_string()));
    }
}
