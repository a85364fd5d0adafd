module github.com/ouro-io/ouro/bench/rivals/iouring

go 1.25.0

require (
	github.com/iceber/iouring-go v0.0.0-20230403020409-002cfd2e2a90
	github.com/ouro-io/ouro/bench/protocol v0.0.0-00010101000000-000000000000
)

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0 // indirect
	golang.org/x/sys v0.0.0-20200923182605-d9f96fdee20d // indirect
)

replace github.com/ouro-io/ouro/bench/protocol => ../../protocol
