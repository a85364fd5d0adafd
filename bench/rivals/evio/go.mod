module github.com/ouro-io/ouro/bench/rivals/evio

go 1.25.0

require (
	github.com/ouro-io/ouro/bench/protocol v0.0.0-00010101000000-000000000000
	github.com/tidwall/evio v1.0.8
)

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0 // indirect
	github.com/kavu/go_reuseport v1.5.0 // indirect
)

replace github.com/ouro-io/ouro/bench/protocol => ../../protocol
