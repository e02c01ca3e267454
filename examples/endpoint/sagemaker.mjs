/**
 * How SageMaker says that an invocation failed: status, error type in a header, and the facts in the body.
 *
 * The same failure is different from inside a container (`POST /invocations`): there a model simply answers with a
 * status, and SageMaker wraps that status for the caller.
 */

/** A sentence for the caller. It never carries the picture's address: a signed address is a secret. */
export class ModelFailure extends Error {
    /**
     * @param {number} status what the model's container answers
     * @param {string} message
     */
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}

/** The model takes no more work for now. */
export class Overloaded extends Error {}

export class UnknownEndpoint extends Error {
    /** @param {string} endpoint */
    constructor(endpoint) {
        super(`Endpoint ${endpoint} of account ${ACCOUNT} not found.`);
    }
}

const ACCOUNT = '000000000000';

/**
 * @typedef {object} Reply
 * @property {number} status
 * @property {Record<string, string>} headers
 * @property {unknown} body
 */

/**
 * What a caller of InvokeEndpoint sees.
 *
 * @param {unknown} error
 * @param {string} endpoint
 * @returns {Reply}
 */
export function runtimeReply(error, endpoint) {
    if (error instanceof UnknownEndpoint) return typed(400, 'ValidationError', { message: error.message });
    if (error instanceof Overloaded) return typed(503, 'ServiceUnavailable', { message: error.message });
    const { status, message } = asFailure(error);
    const kind = status < 500 ? 'client' : 'server';
    return typed(424, 'ModelError', {
        message: `Received ${kind} error (${status}) from primary with message "${message}"`,
        OriginalStatusCode: status,
        OriginalMessage: message,
        LogStreamArn: `arn:aws:logs:us-east-1:${ACCOUNT}:log-group:/aws/sagemaker/Endpoints/${endpoint}`,
    });
}

/**
 * What SageMaker sees of the container.
 *
 * @param {unknown} error
 * @returns {Reply}
 */
export function containerReply(error) {
    if (error instanceof Overloaded) return { status: 503, headers: {}, body: { error: error.message } };
    const { status, message } = asFailure(error);
    return { status, headers: {}, body: { error: message } };
}

/**
 * An unexpected error goes to the log, not to the caller.
 *
 * @param {unknown} error
 */
function asFailure(error) {
    if (error instanceof ModelFailure) return error;
    console.error(error);
    return new ModelFailure(500, 'The model failed.');
}

/**
 * @param {number} status
 * @param {string} type
 * @param {Record<string, unknown>} body
 * @returns {Reply}
 */
function typed(status, type, body) {
    return { status, headers: { 'x-amzn-errortype': type }, body };
}
