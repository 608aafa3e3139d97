//! The git repository: commits, versions, ancestry, exports, tags. Read with git2.
