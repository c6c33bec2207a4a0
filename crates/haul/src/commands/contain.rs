use crate::exit::Exit;

/// Becomes the program of a run, in its sandbox.
pub(crate) fn run() -> Exit {
    sandbox::contain();
    // It comes back only when it could not; whoever started it was told why.
    Exit::Failed
}
