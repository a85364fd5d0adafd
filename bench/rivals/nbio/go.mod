module github.com/ouro-io/ouro/bench/rivals/nbio

go 1.25.0

require (
	github.com/lesismal/nbio v1.6.7
	github.com/ouro-io/ouro/bench/protocol v0.0.0-00010101000000-000000000000
)

require github.com/HdrHistogram/hdrhistogram-go v1.4.0 // indirect

replace github.com/ouro-io/ouro/bench/protocol => ../../protocol
