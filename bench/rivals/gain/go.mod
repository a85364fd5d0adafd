module github.com/ouro-io/ouro/bench/rivals/gain

go 1.25.0

require (
	github.com/ouro-io/ouro/bench/protocol v0.0.0-00010101000000-000000000000
	github.com/pawelgaczynski/gain v0.4.0-alpha
	github.com/rs/zerolog v1.26.1
)

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0 // indirect
	github.com/alitto/pond v1.7.1 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	golang.org/x/net v0.0.0-20210805182204-aaa1db679c0d // indirect
	golang.org/x/sys v0.1.0 // indirect
)

replace github.com/ouro-io/ouro/bench/protocol => ../../protocol
