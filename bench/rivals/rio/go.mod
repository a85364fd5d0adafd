module github.com/ouro-io/ouro/bench/rivals/rio

go 1.25.0

require (
	github.com/brickingsoft/rio v1.0.0
	github.com/ouro-io/ouro/bench/protocol v0.0.0-00010101000000-000000000000
)

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0 // indirect
	golang.org/x/net v0.35.0 // indirect
	golang.org/x/sys v0.30.0 // indirect
)

replace github.com/ouro-io/ouro/bench/protocol => ../../protocol
