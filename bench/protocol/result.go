package protocol

// Result is what one measurement found. Durations are in nanoseconds.
type Result struct {
	// Requests is what was finished in the window: echoes, answers, deliveries, connections, blocks, timers. Bytes
	// counts payload in one direction.
	Requests uint64 `json:"requests,omitempty"`
	Bytes    uint64 `json:"bytes,omitempty"`
	// TotalRequests counts from the beginning on, warm-up included.
	TotalRequests uint64 `json:"totalRequests,omitempty"`
	WindowNs      int64  `json:"windowNs"`
	// ServerCPUNs is the CPU time of the server, or of the job itself; ServerSystemNs the kernel's part of it.
	ServerCPUNs    int64 `json:"serverCpuNs"`
	ServerSystemNs int64 `json:"serverSystemNs,omitempty"`
	// LoadCPUNs is that of the load generator.
	LoadCPUNs int64 `json:"loadCpuNs"`
	// ServerSwitches counts the server's context switches, voluntary and involuntary.
	ServerSwitches int64 `json:"serverSwitches,omitempty"`
	// ServerSyscalls counts the server's system calls in the window, where the kernel was asked to count them.
	ServerSyscalls int64 `json:"serverSyscalls,omitempty"`
	// Latency of a request; in an open loop from the moment when it was due.
	P50Ns int64 `json:"p50Ns,omitempty"`
	P99Ns int64 `json:"p99Ns,omitempty"`
	MaxNs int64 `json:"maxNs,omitempty"`
	// Quantiles is the latency's distribution, at the quantiles of package load.
	Quantiles []int64 `json:"quantilesNs,omitempty"`
	// Lost counts datagrams that were sent again.
	Lost uint64 `json:"lost,omitempty"`
	// Behind is how many requests an open loop could not send although they were due.
	Behind uint64 `json:"behind,omitempty"`
	// PSSBytes and RSSBytes are the memory that the connections (or timers) added to the process, KernelBytes what
	// they added to the kernel's, at both ends.
	PSSBytes    int64 `json:"pssBytes,omitempty"`
	RSSBytes    int64 `json:"rssBytes,omitempty"`
	KernelBytes int64 `json:"kernelBytes,omitempty"`
}
