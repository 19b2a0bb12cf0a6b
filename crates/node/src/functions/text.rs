//! Texts: each call is handed to a thread of its own and answers with a promise, so that JavaScript's thread only copies strings.
//! How many calls run side by side is the caller's choice (`ts/text/chunks.ts`).
use super::guarded;
use ferrograd_runtime::{Filling, Part};
use ferrograd_tensor::{self as tensor, DType, Meta};
use ferrograd_text::{Clean, Counts, Cut, Form, Reader, Side, Split, Vocabulary, write_rows};
use napi::bindgen_prelude::{Int32Array, Object, ToNapiValue, Uint8Array};
use napi::{Env, Error, Result};
use napi_derive::napi;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// `Clean` and `Split` as JavaScript writes them; `ts/text/clean.ts` has checked them.
#[napi(object)]
pub struct TextSteps {
    pub html: bool,
    pub normalize: Option<String>,
    pub lower: bool,
    pub punctuation: bool,
    pub split: String,
}

/// Texts in UTF-8, one behind the other, and where each ends.
#[napi(object)]
pub struct PackedTexts {
    pub bytes: Uint8Array,
    pub ends: Int32Array,
}

impl PackedTexts {
    /// Ends that run backwards or beyond the bytes are refused.
    fn checked(self) -> Result<PackedTexts> {
        let whole = self.ends.first().is_none_or(|&first| first >= 0)
            && self.ends.is_sorted()
            && self.ends.last().is_none_or(|&last| last as usize <= self.bytes.len());
        if whole { Ok(self) } else { Err(Error::from_reason("the ends of texts do not lie one after the other in their bytes")) }
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = Cow<'_, str>> {
        let mut from = 0;
        self.ends.iter().map(move |&end| {
            let bytes = &self.bytes[std::mem::replace(&mut from, end as usize)..end as usize];
            // Node has put U+FFFD for halves of pairs; `from_utf8` is the quicker look.
            std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
        })
    }
}

/// Words one behind the other, and how many UTF-16 units each has: one string crosses faster than many.
#[napi(object)]
pub struct JoinedWords {
    pub text: String,
    pub units: Int32Array,
}

#[napi(object)]
pub struct EncodedTexts {
    pub ids: Int32Array,
    pub lengths: Int32Array,
}

/// One way of reading texts, with what it has counted and the vocabulary it looks up.
#[napi]
pub struct TextPipeline {
    clean: Clean,
    split: Split,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// One for each call that counted at the same time, so that none waits for another.
    counts: Mutex<Vec<Counts>>,
    vocabulary: Mutex<Arc<Vocabulary>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn side(left: bool) -> Side {
    if left { Side::Left } else { Side::Right }
}

/// A promise of what `work` gives, which runs on a thread of its own.
fn promise<T, J>(env: &Env, work: impl FnOnce() -> T + Send + 'static, answer: impl FnOnce(T) -> J + Send + 'static) -> Result<Object<'_>>
where
    T: Send + 'static,
    J: ToNapiValue + 'static,
{
    let (deferred, promise) = env.create_deferred()?;
    std::thread::Builder::new().name("ferrograd-text".into()).spawn(move || match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => deferred.resolve(move |_| Ok(answer(done))),
        Err(_) => deferred.reject(Error::from_reason("the reading of texts panicked")),
    })?;
    Ok(promise)
}

#[napi]
impl TextPipeline {
    #[napi(constructor)]
    pub fn new(steps: TextSteps) -> Result<TextPipeline> {
        let form = match steps.normalize.as_deref() {
            None => None,
            Some("NFC") => Some(Form::Nfc),
            Some("NFD") => Some(Form::Nfd),
            Some("NFKC") => Some(Form::Nfkc),
            Some("NFKD") => Some(Form::Nfkd),
            Some(other) => return Err(Error::from_reason(format!("there is no Unicode form {other}"))),
        };
        let split = match &*steps.split {
            "whitespace" => Split::Whitespace,
            "character" => Split::Character,
            "none" => Split::Whole,
            other => return Err(Error::from_reason(format!("there is no split {other}"))),
        };
        let clean = Clean { html: steps.html, form, lower: steps.lower, punctuation: steps.punctuation };
        Ok(TextPipeline { clean, split, state: Arc::default() })
    }

    #[napi(catch_unwind)]
    pub fn clean<'env>(&self, env: &'env Env, texts: PackedTexts) -> Result<Object<'env>> {
        let (clean, texts) = (self.clean, texts.checked()?);
        let work = move || {
            let mut scratch = String::new();
            let one = |text: Cow<str>| {
                let mut out = String::new();
                clean.apply(&text, &mut out, &mut scratch);
                out
            };
            texts.iter().map(one).collect::<Vec<String>>()
        };
        promise(env, work, |texts| texts)
    }

    #[napi(catch_unwind)]
    pub fn count<'env>(&self, env: &'env Env, texts: PackedTexts) -> Result<Object<'env>> {
        let (mut reader, state, texts) = (Reader::new(self.clean, self.split), self.state.clone(), texts.checked()?);
        let work = move || {
            let mut counts = lock(&state.counts).pop().unwrap_or_default();
            counts.add(&mut reader, texts.iter());
            lock(&state.counts).push(counts);
        };
        promise(env, work, |()| ())
    }

    /// The counted words become the vocabulary and are told in the order of their ids; the counts are forgotten.
    #[napi(catch_unwind)]
    pub fn learn<'env>(&self, env: &'env Env, least: f64, most: f64) -> Result<Object<'env>> {
        let state = self.state.clone();
        let work = move || {
            let parts = std::mem::take(&mut *lock(&state.counts));
            let all = parts.into_iter().reduce(|mut all, part| {
                all.merge(&part);
                all
            });
            let vocabulary = all.unwrap_or_default().vocabulary(least as u64, most as usize);
            let (mut text, mut units) = (String::new(), Vec::new());
            for word in vocabulary.words() {
                text.push_str(&word);
                units.push(word.encode_utf16().count() as i32);
            }
            *lock(&state.vocabulary) = Arc::new(vocabulary);
            (text, units)
        };
        promise(env, work, |(text, units)| JoinedWords { text, units: units.into() })
    }

    #[napi(catch_unwind)]
    pub fn set_words(&self, words: PackedTexts) -> Result<()> {
        *lock(&self.state.vocabulary) = Arc::new(Vocabulary::new(words.checked()?.iter()));
        Ok(())
    }

    /// Ids one text after the other, at most `most` of each.
    #[napi(catch_unwind)]
    pub fn encode<'env>(&self, env: &'env Env, texts: PackedTexts, most: Option<u32>, cut_left: bool) -> Result<Object<'env>> {
        let (mut reader, vocabulary) = (Reader::new(self.clean, self.split), lock(&self.state.vocabulary).clone());
        let texts = texts.checked()?;
        let cut: Cut = most.map(|most| (most as usize, side(cut_left)));
        promise(
            env,
            move || vocabulary.encode(&mut reader, texts.iter(), cut),
            |(ids, lengths)| EncodedTexts { ids: ids.into(), lengths: lengths.into() },
        )
    }

    /// As `encode`, into the next of the rows, as many as there are texts; gives the lengths.
    #[napi(catch_unwind)]
    pub fn encode_rows<'env>(
        &self,
        env: &'env Env,
        texts: PackedTexts,
        rows: &mut TextRows,
        pad_left: bool,
        cut_left: bool,
    ) -> Result<Object<'env>> {
        let (mut reader, vocabulary) = (Reader::new(self.clean, self.split), lock(&self.state.vocabulary).clone());
        let texts = texts.checked()?;
        let (columns, part) = rows.take(texts.ends.len()).ok_or_else(|| Error::from_reason("there are more texts than rows"))?;
        let work =
            move || part.fill(|rows| vocabulary.encode_rows(&mut reader, texts.iter(), columns, side(pad_left), side(cut_left), rows));
        promise(env, work, Int32Array::from)
    }
}

/// Rows of ids on their way to becoming a tensor, or why there are none.
#[napi]
pub struct TextRows(Option<tensor::Result<Filling>>);

impl TextRows {
    fn sized(count: usize, columns: usize) -> tensor::Result<Filling> {
        Filling::new(Meta::new(DType::I32, &[count, columns])?)
    }

    /// How many ids a row has, and room for as many rows as asked for.
    fn take(&mut self, count: usize) -> Option<(usize, Part)> {
        let filling = self.0.as_mut()?.as_mut().ok()?;
        let columns = filling.meta().dims()[1];
        Some((columns, filling.take(count * columns * size_of::<i32>())?))
    }
}

#[napi]
impl TextRows {
    #[napi(constructor)]
    pub fn new(count: u32, columns: u32) -> TextRows {
        TextRows(Some(TextRows::sized(count as usize, columns as usize)))
    }

    /// Answers with an error where there is no memory for the rows.
    #[napi(catch_unwind)]
    pub fn check(&self) -> Result<()> {
        guarded("TextVectorizer.encode", |e| match &self.0 {
            Some(Err(error)) => Err(error.clone()),
            _ => e.answer([].into_iter()),
        })
    }

    /// Answers with the tensor, once.
    #[napi(catch_unwind)]
    pub fn tensor(&mut self) -> Result<()> {
        let rows = self.0.take();
        guarded("TextVectorizer.encode", |e| {
            let filling = rows.unwrap_or_else(|| Err(tensor::Error::internal("the rows were fetched before")))?;
            let tensor = e.session.unpack(&filling.finish()?);
            e.answer([tensor].into_iter())
        })
    }

    /// Gives the memory back where no tensor was made of it.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.0 = None;
    }
}

/// What `encode` gave, chunk by chunk, as rows of `columns` ids.
#[napi(catch_unwind)]
pub fn text_rows<'env>(env: &'env Env, parts: Vec<EncodedTexts>, columns: u32, pad_left: bool) -> Result<Object<'env>> {
    let fits = |part: &EncodedTexts| {
        part.lengths.iter().all(|&length| (0..=i64::from(columns)).contains(&i64::from(length)))
            && part.lengths.iter().map(|&length| length as usize).sum::<usize>() == part.ids.len()
    };
    if !parts.iter().all(fits) {
        return Err(Error::from_reason(format!("the lengths of texts are not those of their ids, or above {columns}")));
    }
    let work = move || {
        let parts: Vec<_> = parts.iter().map(|part| (&part.ids[..], &part.lengths[..])).collect();
        let count = parts.iter().map(|(_, lengths)| lengths.len()).sum();
        let mut rows = TextRows(Some(TextRows::sized(count, columns as usize)));
        if let Some((columns, part)) = rows.take(count) {
            part.fill(|rows| write_rows(&parts, columns, side(pad_left), rows));
        }
        rows
    };
    promise(env, work, |rows| rows)
}
