// Package op is the contract between the engine and the backends that perform its operations: io_uring, the
// epoll reactor, and in tests a simulated kernel.
//
// An Op is a record that its submitter owns and embeds in something larger (a connection, a listener), so that an
// operation costs no allocation. Its life:
//
//	idle ──Submit──▶ in flight ──Cancel──▶ cancelling ──┐
//	  ▲                 │  ▲ │                          │
//	  │                 └──┘ └──────────┐               │
//	  │             completion (More)   ▼               ▼
//	  └──────────────────────────── terminal completion (!More), exactly once
//
// Between Submit and the terminal completion the backend owns the Op and everything that it points to: neither
// the buffer nor the descriptor may be released, and no field may be written. A cancel is a wish; the terminal
// completion still comes, and may carry a success that happened first.
//
// Who may call: a Backend belongs to one worker. Submit, Cancel, Poll and Close are for the goroutine that runs
// this worker at the moment; Wake is safe from any goroutine. Completions are delivered inside Poll only.
package op
