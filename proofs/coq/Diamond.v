(* The gadget of Pensia et al. (2020), in Coq's kernel: two hidden neurons a half, one weight.

   Statement and proof as in proofs/diamond.py, here with a list of (in-weight, out-weight) pairs
   of any length. Checked by `make prove-coq`; accepted by Coq 8.16.1. *)

Require Import Reals Lra Lia List.
Open Scope R_scope.
Import ListNotations.

Definition relu (x : R) : R := Rmax x 0.

Definition neuron (uv : R * R) (x : R) : R := snd uv * relu (fst uv * x).

Fixpoint gadget (neurons : list (R * R)) (x : R) : R :=
  match neurons with
  | [] => 0
  | uv :: rest => neuron uv x + gadget rest x
  end.

(* The sums of u v over the neurons that are active on the right, and on the left. *)
Fixpoint right_sum (neurons : list (R * R)) : R :=
  match neurons with
  | [] => 0
  | uv :: rest => (if Rlt_dec 0 (fst uv) then fst uv * snd uv else 0) + right_sum rest
  end.

Fixpoint left_sum (neurons : list (R * R)) : R :=
  match neurons with
  | [] => 0
  | uv :: rest => (if Rlt_dec (fst uv) 0 then fst uv * snd uv else 0) + left_sum rest
  end.

Lemma relu_pos : forall x, 0 <= x -> relu x = x.
Proof. intros x H. unfold relu. apply Rmax_left. exact H. Qed.

Lemma relu_neg : forall x, x <= 0 -> relu x = 0.
Proof. intros x H. unfold relu. apply Rmax_right. exact H. Qed.

Lemma neuron_right : forall u v x, 0 <= x ->
  neuron (u, v) x = (if Rlt_dec 0 u then u * v else 0) * x.
Proof.
  intros u v x Hx. unfold neuron. simpl.
  destruct (Rlt_dec 0 u) as [Hu | Hu].
  - rewrite relu_pos; [ring | nra].
  - rewrite relu_neg; [ring | nra].
Qed.

Lemma neuron_left : forall u v x, x <= 0 ->
  neuron (u, v) x = (if Rlt_dec u 0 then u * v else 0) * x.
Proof.
  intros u v x Hx. unfold neuron. simpl.
  destruct (Rlt_dec u 0) as [Hu | Hu].
  - rewrite relu_pos; [ring | nra].
  - rewrite relu_neg; [ring | nra].
Qed.

Lemma gadget_right : forall neurons x, 0 <= x -> gadget neurons x = right_sum neurons * x.
Proof.
  induction neurons as [| [u v] rest IH]; intros x Hx; simpl.
  - ring.
  - rewrite (neuron_right u v x Hx), (IH x Hx). simpl. ring.
Qed.

Lemma gadget_left : forall neurons x, x <= 0 -> gadget neurons x = left_sum neurons * x.
Proof.
  induction neurons as [| [u v] rest IH]; intros x Hx; simpl.
  - ring.
  - rewrite (neuron_left u v x Hx), (IH x Hx). simpl. ring.
Qed.

Theorem diamond : forall neurons w eta,
  Rabs (right_sum neurons - w) <= eta ->
  Rabs (left_sum neurons - w) <= eta ->
  forall x, Rabs (gadget neurons x - w * x) <= eta * Rabs x.
Proof.
  intros neurons w eta Hright Hleft x.
  destruct (Rle_dec 0 x) as [Hx | Hx].
  - rewrite (gadget_right neurons x Hx).
    replace (right_sum neurons * x - w * x) with ((right_sum neurons - w) * x) by ring.
    rewrite Rabs_mult. apply Rmult_le_compat_r; [apply Rabs_pos | exact Hright].
  - assert (Hx' : x <= 0) by lra.
    rewrite (gadget_left neurons x Hx').
    replace (left_sum neurons * x - w * x) with ((left_sum neurons - w) * x) by ring.
    rewrite Rabs_mult. apply Rmult_le_compat_r; [apply Rabs_pos | exact Hleft].
Qed.

Print Assumptions diamond.
